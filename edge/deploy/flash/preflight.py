"""All that is looked at before a tree is written to: each thing found, with its fix. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edge.deploy.flash import host_checks, l4t_board, l4t_call, l4t_layout, l4t_release, rootfs_checks
from edge.deploy.flash.host_checks import Host
from edge.deploy.flash.l4t_board import Board
from edge.deploy.flash.l4t_call import Call
from edge.deploy.flash.l4t_release import Release
from edge.deploy.kit.packaged import PackagedFile
from edge.deploy.kit.secret_file import AUTHORIZED_KEYS, USER
from edge.errors import ConfigError, EdgeError
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding, of_error

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What a person has asked for."""

    tree: Path
    board: str
    storage: str
    target: str  # that the kit was made for
    deb_bytes: int
    secrets: Sequence[PackagedFile] = ()
    disk: str | None = None
    massflash: int | None = None
    module: str | None = None
    accepted: bool = False
    host: Host = field(default_factory=Host)

    @property
    def user(self) -> tuple[str, str]:
        """Name and hash of the first user; empty without one."""
        said = next((file.data.decode() for file in self.secrets if file.path == USER), "")
        name, _, hash_ = said.strip().partition(":")
        return name, hash_


class Preflight:
    """The findings of one order, and the call, if nothing is at fault."""

    def __init__(self, order: Order) -> None:
        """Looks at everything at once."""
        self.call: Call | None = None
        self.board: Board | None = None
        self.findings = list(self._look(order))

    def refuse(self) -> None:
        """ConfigError if anything is at fault: a board would not start, or the flasher stop half way."""
        faults = [finding for finding in self.findings if finding.level == FAULT]
        if len(faults) == 1:
            (one,) = faults
            raise ConfigError(f"{one.check}: {one.text}; {one.fix} (nothing was written)")
        if faults:
            told = ", ".join(dict.fromkeys(fault.check for fault in faults))
            raise ConfigError(
                f"{len(faults)} faults ({told}), nothing was written; mend them as said above, run it again"
            )

    def _look(self, order: Order) -> Iterator[Finding]:
        if order.host.uid:
            fix = "run it with sudo"
            yield Finding("root", FAULT, "this is not root, who owns the files of a root file system", fix)
        release = yield from _try("release", lambda: l4t_release.read(order.tree))
        if release is None:
            return
        yield Finding("release", OK, str(release))
        yield from _try("kit", lambda: l4t_release.refuse_other_kit(order.target, release))
        self.board = board = yield from _try(
            "board", lambda: l4t_board.read(order.tree, order.board, release)
        )
        if board:
            yield Finding("board", OK, f"{board.name}: {board.family}")
            yield from self._flashing(order, board, release)
        yield from rootfs_checks.rootfs(order.tree, release, order.deb_bytes, order.host.uid)
        if rootfs_checks.unpacked(order.tree / "rootfs"):
            yield from _first_start(order, release)
        yield from host_checks.system(order.host, release)
        yield from host_checks.boards(order.host, board, release, needed=order.massflash is None)

    def _flashing(self, order: Order, board: Board, release: Release) -> Iterator[Finding]:
        self.call = yield from _try(
            "call",
            lambda: l4t_call.call(order.tree, board, release, order.storage, order.massflash, order.module),
        )
        if self.call:
            yield from _disk(order, board, release)


def _disk(order: Order, board: Board, release: Release) -> Iterator[Finding]:
    layout = l4t_call.layout(order.tree, board, order.storage)
    needed = yield from _try("disk", lambda: l4t_layout.disk_bytes(order.tree, layout, board, release))
    if needed is None:
        return
    wanted = f"{release.line}'s {layout} wants {l4t_layout.told(needed)}"
    if order.disk is None:
        yield Finding("disk", NOTE, f"{wanted}; a smaller disk fails", "compare with --disk SIZE")
        return
    there = yield from _try("disk", lambda: l4t_layout.size(order.disk or "", "--disk"))
    if there is None:
        return
    if there < needed:
        yield Finding("disk", FAULT, f"{wanted}, --disk has {l4t_layout.told(there)}", "take a larger disk")
    else:
        yield Finding("disk", OK, f"{wanted}, {l4t_layout.told(there)} are there")


def _first_start(order: Order, release: Release) -> Iterator[Finding]:
    name, hash_ = order.user
    keys = any(file.path == AUTHORIZED_KEYS for file in order.secrets)
    yield from rootfs_checks.wizard(order.tree, release, bool(name))
    if name:
        yield from rootfs_checks.user(order.tree, release, name, order.accepted)
        yield from host_checks.emulator(order.host, release)
    if keys and not name:
        yield Finding(
            "user", FAULT, "ssh.authorized_keys belongs to nobody", "add [user] to the file of secrets"
        )
    if name and hash_ in ("!", "*") and not keys:
        fix = "add [ssh] to the file of secrets"
        yield Finding("user", WARNING, f"{name} has neither a password nor a key: nobody can log in", fix)


def _try(check: str, look: Callable[[], T]) -> Generator[Finding, None, T | None]:
    """What ``look`` returns; None after a finding of its error."""
    try:
        return look()
    except EdgeError as error:
        yield of_error(check, FAULT, error)
        return None

"""Put a kit into NVIDIA's tree, take it out again, and finish what was interrupted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.deploy.flash import ledger_file, overlay, packages
from edge.deploy.flash.ledger import Ledger
from edge.deploy.flash.overlay import Overlay
from edge.deploy.flash.writes import Writes
from edge.errors import ConfigError, EdgeError, reason
from edge.system import locks, signals
from edge.system.steps import Steps

Run = Callable[[Sequence[str]], None]
_FINISH = "finish with the same command, or go back with: emotion-edge kit unflash --l4t {tree}"


def dry_run(plan: Overlay) -> Iterator[str]:
    """Every file with mode and owner, and every command; nothing is written, no secret shown."""
    yield from (f"$ {shlex.join(words)}" for words in plan.commands())
    for member in plan.members:
        yield f"{member.mode & 0o7777:04o} {member.owner} /{member.path}{'/' * member.folder}"
    for file in plan.files():
        yield f"{file.mode:04o} root:root /{file.path}"
    if plan.user[0]:
        yield f"the password of {plan.user[0]} in /etc/shadow, from the file of secrets"
    yield f"0700 root:root /{ledger_file.FOLDER}/ (what was there before)"


def flash(plan: Overlay, steps: Steps, writes: Writes | None = None, run: Run = overlay.run) -> None:
    """Put the kit in; what an earlier run has left or put in goes first.

    Raises:
        EdgeError: whatever stops it. The tree is then as before, or the message says how to finish.
    """
    writes = writes or Writes(plan.root)
    book = Ledger(writes)
    with _alone(plan.root), _told(plan.tree, book):
        _back(book, plan.root, steps)
        signals.leave("the tree is as it was, but for copies that the next run removes")
        steps.begin("keeping what is there now")
        book.begin(plan.scope(), plan.deb.name)
        signals.leave(f"the tree is half way; {_FINISH.format(tree=plan.tree)}")
        steps.begin(f"unpacking {plan.deb.name} ({plan.deb.stat().st_size / 1e6:.0f} MB)")
        plan.apply(writes, run)
        steps.begin("writing down what has changed")
        book.settle()
        signals.leave("")


def unflash(tree: Path, steps: Steps, writes: Writes | None = None) -> str:
    """Put back what was there before; which kit has gone.

    Raises:
        EdgeError: nothing of ours is there, it has changed since, a board has started from it, or it cannot
            be written.
    """
    root = tree / "rootfs"
    if not root.is_dir():
        raise ConfigError(f"{tree} has no rootfs; name NVIDIA's Linux_for_Tegra with --l4t")
    book = Ledger(writes or Writes(root))
    state = book.state()
    if state == ledger_file.NONE:
        raise ConfigError(f"{root} holds no kit of `kit flash`; nothing was changed")
    with _alone(root), _told(tree, book):
        about = book.about() if state != ledger_file.LEFT_OVER else "the copies of an interrupted flash"
        _back(book, root, steps)
        signals.leave("")
    return about


def shown(tree: Path) -> Iterator[str]:
    """What ``unflash`` would put back."""
    root = tree / "rootfs"
    book = Ledger(Writes(root))
    if book.state() in (ledger_file.NONE, ledger_file.LEFT_OVER):
        yield f"{root} is as it was: it holds no kit of `kit flash`"
        return
    yield f"{book.about()} ({book.state()})"
    yield from (f"{what:<7} /{path}" for path, what in book.paths().items())


def _back(book: Ledger, root: Path, steps: Steps) -> None:
    state = book.state()
    if state == ledger_file.NONE:
        return
    if state == ledger_file.DONE:
        _refuse_started(root)
        book.refuse_changes()
    interrupted = " of an interrupted run" if state != ledger_file.DONE else ""
    steps.begin(f"putting back what was there before{interrupted}")
    book.restore()


def _refuse_started(root: Path) -> None:
    """A started board has made users, logs and settings that no list knows: it is not as it was any more."""
    if overlay.PACKAGE in packages.installed(root):
        raise EdgeError(
            f"{root} is not as it was flashed: a board has started from it; there run: sudo apt purge "
            f"{overlay.PACKAGE}. To flash another, unpack the root file system again"
        )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Nobody else writes to that root meanwhile."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        locks.lock(descriptor, root)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _told(tree: Path, book: Ledger) -> Iterator[None]:
    """After a fault, put all back; where that fails, too, say how to finish."""
    try:
        yield
    except (OSError, EdgeError) as error:
        why = str(error) if isinstance(error, EdgeError) else _fault(error)
        if not _changes_are_ours(book):
            raise EdgeError(why) from error
        try:
            book.restore()
        except (OSError, EdgeError) as second:
            raise EdgeError(
                f"{why}; the tree is half way ({reason(second)}): {_FINISH.format(tree=tree)}"
            ) from error
        raise EdgeError(f"{why} (the tree is as it was)") from error


def _changes_are_ours(book: Ledger) -> bool:
    """Whether a run of this program is under way in that root, and not a finished one that was looked at."""
    try:
        return book.state() in (ledger_file.LEFT_OVER, ledger_file.BEGUN, ledger_file.RESTORING)
    except EdgeError:
        return False


def _fault(error: OSError) -> str:
    return f"{error.filename or 'the tree'}: {reason(error)}; free space, or make it writable"

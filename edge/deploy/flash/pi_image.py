"""``kit flash --image``: a kit into an image of Raspberry Pi OS."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from edge.deploy.flash import pi_checks, pi_file, pi_files, pi_journal, pi_look, pi_stage, pi_write
from edge.deploy.flash.pi_checks import FOLDER
from edge.deploy.flash.pi_look import IMAGE, MTOOLS, QUIET, Seen
from edge.deploy.kit import secret_file
from edge.deploy.kit.installing import Kit
from edge.deploy.kit.packaged import PackagedFile
from edge.deploy.kit.programs import Programs
from edge.errors import ConfigError
from edge.system import signals
from edge.system.steps import Steps


@dataclass(frozen=True)
class Order:
    """What is wanted."""

    kit: Path
    image: Path
    out: Path | None = None  # a copy; None: beside the image, by a name of its own
    in_place: bool = False
    secrets: Path | None = None
    dry_run: bool = False
    blocks: Path = field(default=pi_file.BLOCKS)  # /sys/block
    write: pi_write.Write = os.pwrite


def flash_image(order: Order, steps: Steps) -> Path | None:
    """Put a kit onto the boot partition of an image and return the image that holds it; None for a dry run.

    Neither root nor a loop device is needed, and no device is written to. Until the end the image is as it
    was; what an interrupted change in place has begun, the same command finishes.

    Raises:
        ConfigError: a kit, an image or secrets that do not go together; each names what it found.
        EdgeError: no space, a folder that cannot be written, a program that is missing or fails.
    """
    pi_look.ready()
    kit = Kit.of(order.kit)
    tables = secret_file.tables(order.secrets) if order.secrets else {}
    pi_files.check(tables)
    secret = secret_file.files(order.secrets, tables) if order.secrets else []
    with closing(pi_file.open_image(order.image, order.blocks)) as file:  # before anything is made beside it
        copy = order.out or order.image.with_name(f"{order.image.stem}-{FOLDER}.img")
        target = order.image if order.in_place else copy
        with pi_stage.working(target) as folder:  # first, so that what a killed run has left goes
            if not order.in_place:
                _refuse_there(order.image, copy)
            if not _finished(order, steps):
                try:
                    _flash(order, kit, tables, secret, file, folder, target, steps)
                except ConfigError as error:
                    raise ConfigError(f"{order.image} {error}") from error
    return None if order.dry_run else target


def _flash(
    order: Order,
    kit: Kit,
    tables: pi_files.Tables,
    secret: Sequence[PackagedFile],
    file: BinaryIO,
    folder: Path,
    target: Path,
    steps: Steps,
) -> None:
    programs = Programs(folder, order.dry_run)
    steps.begin(f"looking into {order.image.name}")
    (folder / IMAGE).symlink_to(order.image.absolute())
    seen = pi_look.look(file, os.fstat(file.fileno()).st_size, folder, programs)
    pi_checks.check(seen, pi_checks.fields(kit.deb, programs), folder, programs)
    how, sign = pi_checks.way(seen)
    steps.say(f"{seen.codename}, {seen.arch}; first settings by {how} ({sign})")
    files = pi_files.files(kit, how, seen.texts.get("cmdline.txt", ""), tables, secret)
    _room(seen, kit.deb, files)
    if "user" not in tables:
        steps.say("note: without [user] in --secrets the board asks for a user at its screen")
    fill = pi_stage.lay_out(folder / pi_stage.NAME, kit.deb, files)
    if order.dry_run:
        _tell(kit.deb, files, programs, fill, target, order.in_place)
        return
    signals.leave("the image is as it was")
    steps.begin("filling its boot partition")
    pi_write.cut_out(file, seen.boot.start, seen.boot.size, folder / pi_stage.PART)
    programs.run(fill, MTOOLS, QUIET, folder)
    steps.begin(f"writing {target.name}")
    with (folder / pi_stage.PART).open("rb") as part:
        changed = pi_write.changes(file, seen.boot.start, part)
        if order.in_place:
            pi_journal.in_place(order.image, changed, folder, order.write)
        else:
            pi_write.copy(file, target, changed, folder, bool(secret), order.write)


def _refuse_there(image: Path, out: Path) -> None:
    if out.exists() or out.is_symlink():
        same = image.exists() and out.exists() and os.path.samefile(out, image)
        raise ConfigError(
            f"{out} is the image itself; name another file with -o, or change it with --in-place"
            if same
            else f"{out} exists already; remove it, or name another file with -o"
        )


def _finished(order: Order, steps: Steps) -> bool:
    """Whether an earlier call in place had only to be finished."""
    journal = pi_journal.journal_of(order.image)
    if not journal.exists():
        return False
    if not order.in_place:
        raise ConfigError(f"{order.image} is half written; finish that first: the same call with --in-place")
    if order.dry_run:
        print(f"{order.image} is half written; it would be finished from {journal}")
        return True
    pi_journal.finish(order.image, order.write)
    steps.say(f"{order.image} was half written; it is whole now")
    return True


def _room(seen: Seen, deb: Path, files: Sequence[PackagedFile]) -> None:
    """ConfigError if the boot partition is too small; a file or folder takes whole clusters."""
    folders = {parent for file in files for parent in Path(file.path).parents}
    sizes = [deb.stat().st_size, *(len(file.data) for file in files), *(1 for _ in folders)]
    needed = sum(-(-size // seen.cluster) * seen.cluster for size in sizes)
    if needed > seen.free:
        raise ConfigError(
            f"has {seen.free / 1e6:.1f} MB free on its boot partition, the kit needs {needed / 1e6:.1f} MB; "
            "take the vendor's own image, whose boot partition has room, or install over ssh: kit install"
        )


def _tell(
    deb: Path,
    files: Sequence[PackagedFile],
    programs: Programs,
    fill: Sequence[str],
    target: Path,
    in_place: bool,
) -> None:
    pi_stage.tell(deb, files)
    programs.tell(fill)
    how = "changed in place" if in_place else "written as a copy"
    print(f"{target} would be {how}; nothing was written")

"""``kit flash --image``: a kit into an image of Raspberry Pi OS; ``--files``: for Imager 2."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from edge.deploy.flash import pi_checks, pi_file, pi_files, pi_look, pi_write
from edge.deploy.flash.pi_checks import CLOUD_INIT, FOLDER
from edge.deploy.flash.pi_look import IMAGE, MTOOLS, QUIET, Seen
from edge.deploy.kit import secret_file
from edge.deploy.kit.installing import Kit
from edge.deploy.kit.packaged import PackagedFile
from edge.deploy.kit.programs import Programs
from edge.errors import ConfigError, EdgeError
from edge.system import signals
from edge.system.steps import Steps

_PART, _STAGE = "boot.fat", "stage"


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
    target = order.image if order.in_place else _out(order)
    if _finished(order, steps):
        return None if order.dry_run else target
    with closing(pi_file.open_image(order.image, order.blocks)) as file, _folder(target) as name:
        try:
            _flash(order, kit, tables, secret, file, Path(name), target, steps)
        except ConfigError as error:
            raise ConfigError(f"{order.image} {error}") from error
        except OSError as error:
            raise pi_write.fault(error, target.absolute().parent, "the image is as it was") from error
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
    fill = _stage(folder / _STAGE, kit.deb, files)
    if order.dry_run:
        _tell(kit.deb, files, programs, fill, target, order.in_place)
        return
    signals.leave("the image is as it was")
    steps.begin("filling its boot partition")
    pi_write.cut_out(file, seen.boot.start, seen.boot.size, folder / _PART)
    programs.run(fill, MTOOLS, QUIET, folder)
    steps.begin(f"writing {target.name}")
    with (folder / _PART).open("rb") as part:
        changed = pi_write.changes(file, seen.boot.start, part)
        if order.in_place:
            pi_write.in_place(order.image, changed, order.write)
        else:
            pi_write.copy(file, target, changed, bool(secret), order.write)


def write_files(
    kit_folder: Path, folder: Path, secrets: Path | None, steps: Steps, dry_run: bool = False
) -> None:
    """Write what Raspberry Pi Imager 2 and a copy by hand put onto a card with Raspberry Pi OS 13.

    ``folder``/user-data and network-config are for Imager's options; all else goes onto the boot partition.
    ConfigError for a kit of another system, a folder that exists, and where Imager 1 is installed.
    """
    pi_look.ready()
    kit = Kit.of(kit_folder)
    tables = secret_file.tables(secrets) if secrets else {}
    pi_files.check(tables)
    with _folder(folder) as name:
        programs = Programs(Path(name), dry_run)
        target = pi_checks.fields(kit.deb, programs).target
        if target != "pi-trixie":
            raise ConfigError(
                f"the kit is for {target or 'no known system'}, and only Raspberry Pi OS 13 (trixie) takes "
                "files of Imager 2; use --image, or make a kit with --target pi-trixie"
            )
        _imager(programs)
        if folder.exists() or folder.is_symlink():
            raise ConfigError(f"{folder} exists already; name a new folder with --files")
        secret = secret_file.files(secrets, tables) if secrets else []
        files = pi_files.files(kit, CLOUD_INIT, "", tables, secret)
        if dry_run:
            _list(kit.deb, files)
            return
        steps.begin(f"writing {folder}")
        _stage(Path(name) / _STAGE, kit.deb, files, copied=True)
        (Path(name) / _STAGE).chmod(0o700 if secret else 0o755)
        (Path(name) / _STAGE).rename(folder)


def _out(order: Order) -> Path:
    out = order.out or order.image.with_name(f"{order.image.stem}-{FOLDER}.img")
    if out.exists() or out.is_symlink():
        same = order.image.exists() and out.exists() and os.path.samefile(out, order.image)
        raise ConfigError(
            f"{out} is the image itself; name another file with -o, or change it with --in-place"
            if same
            else f"{out} exists already; remove it, or name another file with -o"
        )
    return out


def _finished(order: Order, steps: Steps) -> bool:
    """Whether an earlier call in place had only to be finished."""
    journal = pi_write.journal_of(order.image)
    if not journal.exists():
        return False
    if not order.in_place:
        raise ConfigError(f"{order.image} is half written; finish that first: the same call with --in-place")
    if order.dry_run:
        print(f"{order.image} is half written; it would be finished from {journal}")
        return True
    if loop := pi_file.mounted(order.image, order.blocks):
        raise ConfigError(f"{order.image} is in use by {loop}; unmount it, then: losetup -d /dev/{loop}")
    pi_write.finish(order.image, order.write)
    steps.say(f"{order.image} was half written; it is whole now")
    return True


def _folder(target: Path) -> tempfile.TemporaryDirectory[str]:
    """For work, on the disk of the target, which nobody else can look into."""
    try:
        return tempfile.TemporaryDirectory(prefix=".emotion-edge-", dir=target.absolute().parent)
    except OSError as error:
        raise EdgeError(
            f"{target.absolute().parent} cannot be written ({error.strerror}); name a file elsewhere with -o"
        ) from error


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


def _stage(folder: Path, deb: Path, files: Sequence[PackagedFile], copied: bool = False) -> list[str]:
    """Lay the files out as on the boot partition; returns the words that copy them there."""
    folder.mkdir(mode=0o700)
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    place = folder / FOLDER / "kit" / deb.name
    if copied:
        shutil.copyfile(deb, place)
    else:
        place.symlink_to(deb.absolute())
    names = sorted(f"{folder.name}/{path.name}" for path in folder.iterdir())
    return ["mcopy", "-s", "-o", "-i", _PART, *names, "::/"]


def _tell(
    deb: Path,
    files: Sequence[PackagedFile],
    programs: Programs,
    fill: Sequence[str],
    target: Path,
    in_place: bool,
) -> None:
    _list(deb, files)
    programs.tell(fill)
    how = "changed in place" if in_place else "written as a copy"
    print(f"{target} would be {how}; nothing was written")


def _list(deb: Path, files: Sequence[PackagedFile]) -> None:
    """Each file as the board mounts its boot partition, which has neither modes nor owners of its own."""
    for path in sorted([f"{FOLDER}/kit/{deb.name}", *(file.path for file in files)]):
        print(f"-rwxr-xr-x root:root {pi_files.BOOT}/{path}")


def _imager(programs: Programs) -> None:
    """ConfigError where the only Imager of this machine is one that customises trixie in words only."""
    if not shutil.which("rpi-imager"):
        return
    programs.tell(["rpi-imager", "--version"])
    try:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            ["rpi-imager", "--version"], capture_output=True, text=True, timeout=10, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    match = re.search(r"\b(\d+)\.\d+[\w.]*", done.stdout + done.stderr)
    if match and int(match[1]) < 2:
        raise ConfigError(
            f"rpi-imager here is {match[0]}; version 1 customises nothing on Raspberry Pi OS 13 and does not "
            "say so; install version 2, or use --image"
        )

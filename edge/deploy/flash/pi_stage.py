"""Where an image is worked on: a hidden folder beside what is made, with the files as the board sees them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.deploy.flash import pi_files, pi_write
from edge.deploy.flash.pi_checks import FOLDER
from edge.deploy.kit import out_folder
from edge.deploy.kit.packaged import PackagedFile
from edge.errors import EdgeError
from edge.system.atomic_write import hidden_name

PART, NAME = "boot.fat", "stage"  # in the working folder: the boot partition, and its files


@contextmanager
def working(target: Path, left: str = "the image is as it was", option: str = "-o") -> Iterator[Path]:
    """A folder on the disk of the target, which nobody else can look into.

    A killed run may leave it, with secrets in it; the next run for the same target takes it away first.
    After a fault ``left`` says what is there; ``option`` names another target.

    Raises:
        ConfigError: another run writes the target.
        EdgeError: it cannot be made, or the block raised OSError.
    """
    target = target.absolute()
    folder = hidden_name(target, "emotion-edge")
    began = False
    try:
        with out_folder.hidden(target, folder):
            began = True
            yield folder
    except OSError as error:
        if began:
            raise pi_write.fault(error, target.parent, left) from error
        raise EdgeError(
            f"{target.parent} cannot be written ({error.strerror}); name another place with {option}"
        ) from error


def lay_out(folder: Path, deb: Path, files: Sequence[PackagedFile], copied: bool = False) -> list[str]:
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
    return ["mcopy", "-s", "-o", "-i", PART, *names, "::/"]


def tell(deb: Path, files: Sequence[PackagedFile]) -> None:
    """Each file as the board mounts its boot partition, which has neither modes nor owners of its own."""
    for path in sorted([f"{FOLDER}/kit/{deb.name}", *(file.path for file in files)]):
        print(f"-rwxr-xr-x root:root {pi_files.BOOT}/{path}")

"""Unit files on the disk: each written whole, and told in one line."""

from __future__ import annotations

from pathlib import Path

from edge.deploy.units import MARKER
from edge.errors import EdgeError
from edge.system.atomic_write import atomic_write

UNITS = "etc/systemd/system"
_WANTED = "multi-user.target.wants"


def refuse_foreign(path: Path) -> None:
    """EdgeError where ``path`` is there, but not by this program."""
    ours = path.is_file() and not path.is_symlink() and path.read_bytes().startswith(MARKER.encode())
    if not ours and (path.exists() or path.is_symlink()):
        raise EdgeError(f"{path} was not written by this program; move it away first")


def write(path: Path, text: str) -> bool:
    """Put ``text`` at ``path`` at once or not at all; False where it was there already."""
    if path.exists() and path.read_text("utf-8") == text:
        print(f"unchanged  {path}")
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeError(f"cannot make {path.parent} ({error.strerror}); run as root") from error
    atomic_write(path, text.encode())
    path.chmod(0o644)
    print(f"wrote      {path}")
    return True


def link(folder: Path, name: str) -> bool:
    """What `systemctl enable` does, also where no systemd runs; False where it was done already."""
    wanted = folder / _WANTED / name
    if wanted.is_symlink():
        return False
    try:
        wanted.parent.mkdir(exist_ok=True)
        wanted.symlink_to(f"/{UNITS}/{name}")
    except OSError as error:
        raise EdgeError(
            f"cannot make the link {wanted} ({error.strerror}); move away what stands there"
        ) from error
    print(f"wrote      {wanted}")
    return True


def remove(folder: Path, name: str) -> bool:
    """Take away a unit and its link; False where neither was there."""
    found = standing(folder, name)
    for path in found:
        path.unlink()
        print(f"removed    {path}")
    return bool(found)


def standing(folder: Path, name: str) -> list[Path]:
    """The link and the file of a unit, as far as they are there: the link outlives a file removed by hand."""
    link_, file = folder / _WANTED / name, folder / name
    return [*([link_] if link_.is_symlink() else []), *([file] if file.is_file() else [])]

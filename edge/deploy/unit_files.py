"""Writes, enables and removes unit files; each change is reported in one line."""

from __future__ import annotations

from pathlib import Path

from edge.deploy.units import MARKER
from edge.errors import EdgeError
from edge.system.atomic_write import atomic_write

UNITS = "etc/systemd/system"
_WANTED = "multi-user.target.wants"


def refuse_foreign(path: Path) -> None:
    """Raise EdgeError if ``path`` exists and was not written by this program."""
    ours = path.is_file() and not path.is_symlink() and path.read_bytes().startswith(MARKER.encode())
    if not ours and (path.exists() or path.is_symlink()):
        raise EdgeError(f"{path} was not written by this program; move it away first")


def write(path: Path, text: str) -> bool:
    """Write ``text`` to ``path`` atomically; False if the file already has that content."""
    if path.exists() and path.read_text("utf-8") == text:
        print(f"unchanged  {path}")
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeError(f"cannot create {path.parent} ({error.strerror}); run as root") from error
    atomic_write(path, text.encode())
    path.chmod(0o644)
    print(f"wrote      {path}")
    return True


def link(folder: Path, name: str) -> bool:
    """Do what `systemctl enable` does, but without systemd; False if the unit is already enabled."""
    path = folder / _WANTED / name
    if path.is_symlink():
        return False
    try:
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(f"/{UNITS}/{name}")
    except OSError as error:
        raise EdgeError(
            f"cannot create the link {path} ({error.strerror}); move away what is there"
        ) from error
    print(f"wrote      {path}")
    return True


def remove(folder: Path, name: str) -> bool:
    """Remove a unit and its link; False if neither exists."""
    paths = present(folder, name)
    for path in paths:
        path.unlink()
        print(f"removed    {path}")
    return bool(paths)


def present(folder: Path, name: str) -> list[Path]:
    """The link and the file of a unit, if they exist: the link remains if the file was removed by hand."""
    link_, file = folder / _WANTED / name, folder / name
    return [*([link_] if link_.is_symlink() else []), *([file] if file.is_file() else [])]

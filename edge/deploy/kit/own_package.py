"""This program itself as it goes into a kit: the files of the running installation, a checkout or a wheel."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import edge
from edge.bundle import REFERENCE
from edge.errors import EdgeError
from edge.system.checked_file import FileRefused, read_checked
from edge.version import __version__

_MOST_BYTES = 1 << 30
_HERE = Path(edge.__file__).parent


def files(reference: bool) -> dict[str, bytes]:
    """Path in site-packages -> content. ``reference``: with the bundle that ships.

    Only ``edge``: what trains, exports and measures has no place on a board.
    """
    found: dict[str, bytes] = {}
    for path in sorted(_HERE.rglob("*")):
        inside = path.relative_to(_HERE.parent)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if (
            path.is_dir()
            or hidden
            or path.name.endswith("~")
            or (not reference and REFERENCE in path.parents)
        ):
            continue
        try:
            found[inside.as_posix()] = read_checked(path, _MOST_BYTES, follow=True)
        except FileRefused as error:
            raise EdgeError(f"{path} {error}; install emotion-edge again") from error
    info = f"emotion_edge-{__version__}.dist-info"
    return {**found, f"{info}/METADATA": _metadata().encode(), f"{info}/INSTALLER": b"dpkg\n"}


def _metadata() -> str:
    """The installation's METADATA without the README, from which the list of parts takes name and license."""
    try:
        installed = distribution("emotion-edge")
    except PackageNotFoundError as error:
        raise EdgeError(
            "emotion-edge is not installed for this Python; run: pip install emotion-edge"
        ) from error
    if installed.version != __version__:
        raise EdgeError(
            f"the installation says version {installed.version}, the program {__version__}; install it again"
        )
    text = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""  # a wheel's, a checkout's
    return text.partition("\n\n")[0] + "\n"

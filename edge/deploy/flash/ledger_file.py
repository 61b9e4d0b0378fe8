"""The manifest of what a flash has changed: a file of the root itself, and the states it names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from edge.deploy.flash.writes import Writes
from edge.errors import EdgeError
from edge.system import strict_json
from edge.system.checked_file import FileRefused, read_checked

FOLDER = "var/lib/emotion-edge-flash"
MANIFEST, KEPT, README = f"{FOLDER}/manifest.json", f"{FOLDER}/before", f"{FOLDER}/README"
NONE, LEFT_OVER, BEGUN, DONE, RESTORING = "none", "left over", "begun", "done", "restoring"
TEXT = b"""\
`emotion-edge kit flash` keeps here what it has replaced in this root file system. manifest.json says what,
and whether it was finished; without that file nothing else was changed yet. To put
all back: sudo emotion-edge kit unflash --l4t Linux_for_Tegra
"""
_FORMAT = "emotion-edge-flash/1"
_MOST_BYTES = 1 << 27


def state(root: Path) -> str:
    """NONE, LEFT_OVER of a run that had changed nothing yet, BEGUN, DONE or RESTORING.

    Raises EdgeError for a manifest that cannot be read.
    """
    if not os.path.lexists(root / FOLDER):
        return NONE
    return str(read(root)["state"]) if (root / MANIFEST).exists() else LEFT_OVER


def read(root: Path) -> dict[str, Any]:
    """The manifest. Raises EdgeError if it is damaged, or of another version."""
    try:
        manifest = strict_json.loads(read_checked(root / MANIFEST, _MOST_BYTES))
    except (FileRefused, ValueError) as error:
        raise EdgeError(
            f"{root / MANIFEST} is damaged ({error}); unpack the root file system again"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise EdgeError(f"{root / MANIFEST} is of another version; undo it with the one that flashed")
    return manifest


def write(writes: Writes, manifest: dict[str, Any]) -> None:
    """Write it whole, after all that it speaks of. Raises OSError, and EdgeError for a name not in UTF-8."""
    writes.to_disk()  # what it speaks of is there before it says so
    text = json.dumps({**manifest, "format": _FORMAT}, ensure_ascii=False)
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        name = text[error.start - 40 : error.start + 40].encode("utf-8", "backslashreplace").decode()
        raise EdgeError(f"a name in {writes.root} is no UTF-8 (near {name!r}); rename it") from None
    writes.file(MANIFEST, data, 0o600)

"""Two names change places in one step, where the file system can do that."""

from __future__ import annotations

import os
from pathlib import Path

_HERE = -100  # AT_FDCWD: paths as they stand
_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h


def exchange(one: Path, other: Path) -> bool:
    """Let two existing paths on one file system change places: renameat2(2). False if that cannot be done."""
    import ctypes  # here, because it is slow to load and rarely needed

    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc has it since 2.28
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0

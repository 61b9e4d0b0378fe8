"""Arrays of an .npz that anybody may have made: bounded, without pickles, and every fault is one line."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from struct import error as StructError
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import reason
from edge.system.checked_file import FileRefused, open_checked

MOST_BYTES = 8 << 30  # of the file, and of what it unpacks to
MOST_ARRAYS = 1000
_FAULTS = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, FileRefused, zipfile.BadZipFile),
    *(zlib.error, StructError, SyntaxError, TypeError, OverflowError),  # of a broken header
)


def load(path: Path | str) -> dict[str, npt.NDArray[Any]]:
    """Every array of the .npz at ``path``; ValueError, in one line, says what is wrong with it."""
    try:
        with open_checked(path, MOST_BYTES, follow=True) as file:
            with zipfile.ZipFile(file) as members:
                sizes = [member.file_size for member in members.infolist()]
            if len(sizes) > MOST_ARRAYS or sum(sizes) > MOST_BYTES:
                raise ValueError(f"it unpacks to {len(sizes):,} arrays of {sum(sizes):,} bytes")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
        if strange := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{strange[0]!r:.60} is no array")
        return found
    except _FAULTS as error:
        told = f"it {error}" if isinstance(error, FileRefused) else reason(error)
        raise ValueError(told) from error

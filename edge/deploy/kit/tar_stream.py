"""Files as an archive for tar, written into a pipe."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edge.deploy.kit.packaged import PackagedFile


def write(pipe: IO[bytes], files: Sequence[PackagedFile], last: Path | None = None) -> None:
    """Write an archive of ``files``, and of the file ``last`` with mode 0600: once it is there, all is.

    Not by ``TarFile``: interrupted, that would write its end into a pipe which perhaps nobody reads.
    """
    for file in files:
        _member(pipe, file.path, file.mode, len(file.data), io.BytesIO(file.data))
    if last:
        with last.open("rb") as content:
            _member(pipe, last.name, 0o600, last.stat().st_size, content)
    pipe.write(bytes(2 * tarfile.BLOCKSIZE))


def _member(pipe: IO[bytes], path: str, mode: int, size: int, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, mode
    pipe.write(entry.tobuf(tarfile.GNU_FORMAT))
    shutil.copyfileobj(content, pipe)
    pipe.write(bytes(-size % tarfile.BLOCKSIZE))

"""Trees and a place for them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # where a folder is removed in microseconds


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A ``tmp_path`` in memory where that is there: hundreds of trees come and go."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="emotion-edge-", dir=_MEMORY) as folder:
        yield Path(folder)

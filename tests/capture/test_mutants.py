"""Changed clips and pictures give frames or one line, with little memory and time; ``FULL=1`` tries 5,000."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import cv2
import mutants
import numpy as np
import pytest

from edge.capture.picture_headers import size_of

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])


def test_mutants(tmp_path: Path) -> None:
    count = 5000 if os.environ.get("FULL") else 200
    seed = 0 if os.environ.get("CI") else random.randrange(10**9)
    words = [sys.executable, mutants.__file__, str(count), str(seed), str(tmp_path)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=1200, env={**os.environ, "PYTHONPATH": PATHS}
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("length", [0x40421800, 0xB9001800])
def test_a_chunk_that_says_gigabytes(length: int) -> None:
    """Of two mutants that took 1 and 3 GB."""
    data = bytearray(cv2.imencode(".png", np.zeros((40, 50, 3), np.uint8))[1].tobytes())
    data[33:37] = length.to_bytes(4, "big")
    assert size_of(bytes(data)) is None

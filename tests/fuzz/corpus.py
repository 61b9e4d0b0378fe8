"""The corpus that is kept in the tests: one text file a target, one input a line in base64."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from fuzz.targets.base import Target

COMMITTED = Path(__file__).parent / "corpus"
MOST_BYTES = 24_000  # of a target's file


def in_memory() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder, in memory where there is such a file system."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)


def read_kept(name: str) -> list[bytes]:
    """The inputs of one target, smallest first; none if it has no file."""
    path = COMMITTED / f"{name}.b64"
    lines = path.read_text("ascii").split() if path.is_file() else []
    return [zlib.decompress(base64.b64decode(line)) for line in lines]


def write_kept(target: Target, found: Path) -> None:
    """Write the smallest inputs of ``found``, the seeds and the corpus that together cover what all do."""
    with in_memory() as name:
        least, known = Path(name) / "least", Path(name) / "known"
        least.mkdir()
        known.mkdir()
        for at, data in enumerate(read_kept(target.name)):
            (known / f"{at}").write_bytes(data)
        script = Path(__file__).with_name("one.py")
        options = ["-merge=1", f"-max_len={target.most_bytes}", "-timeout=10", "-rss_limit_mb=400"]
        environ = {**os.environ, "XDG_CACHE_HOME": name, "FUZZ_SCRATCH": name}
        command = [sys.executable, str(script), target.name, *options, str(least), str(known), str(found)]
        subprocess.run(command, check=True, env=environ, capture_output=True)
        inputs = sorted((path.read_bytes() for path in least.iterdir()), key=lambda data: (len(data), data))
    lines, size = [], 0
    for data in inputs:
        line = base64.b64encode(zlib.compress(data, 9)).decode()
        size += len(line) + 1
        if size > MOST_BYTES:
            break
        lines.append(line)
    COMMITTED.mkdir(exist_ok=True)
    (COMMITTED / f"{target.name}.b64").write_text("".join(f"{line}\n" for line in lines), "ascii")

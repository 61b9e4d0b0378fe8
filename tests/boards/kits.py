"""Kits for the tests of boards, made by the program itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = """\
[source]
address = "{source}"
[output]
health = "/run/emotion-edge/health.json"
jsonl = "estimates.jsonl"
[detector]
kind = "haar"
"""


def make(target: str, folder: Path, source: str = "/dev/video0", *options: str) -> Path:
    """The deb of a kit for ``target``, made in ``folder``; with Haar, since no other detector is at hand."""
    settings = folder / "kiosk.toml"
    settings.write_text(SETTINGS.format(source=source))
    command = [sys.executable, "-m", "edge", "kit", "make", "--target", target, "-c", str(settings)]
    command += ["--accept-research-weights", *options, "-o", str(folder / "kit")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    (deb,) = (folder / "kit").glob("*.deb")
    return deb

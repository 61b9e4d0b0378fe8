"""Kits for the tests of boards, made by the program itself, and what one says of a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
SETTINGS = """\
[source]
address = "{source}"
[output]
health = "/run/emotion-edge/health.json"
jsonl = "estimates.jsonl"
[detector]
kind = "haar"
[limits]
load_s = 3600  # in an emulator, beside other work
"""


def settings(folder: Path, source: str = "/dev/video0") -> Path:
    """A kiosk's settings, with Haar, since no other detector is at hand."""
    path = folder / "kiosk.toml"
    path.write_text(SETTINGS.format(source=source))
    return path


def make(target: str, folder: Path, source: str = "/dev/video0", *options: str, **how: Any) -> Path:
    """The deb of a kit for ``target``, made in ``folder``; ``how`` is for subprocess.run."""
    command = [sys.executable, "-m", "edge", "kit", "make", "--target", target]
    command += ["-c", str(settings(folder, source)), "--accept-research-weights", *options]
    command += ["-o", str(folder / "kit")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **how)
    assert done.returncode == 0, done.stderr[-2000:]
    (deb,) = (folder / "kit").glob("*.deb")
    return deb


def unhurried(root: Path) -> None:
    """Give the service in a root the time that an emulator takes beside other work: minutes for a start.

    With the package's limits, which are for boards, systemd would stop each start as one that hangs.
    """
    place = root / "etc/systemd/system/emotion-edge.service.d/unhurried.conf"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("[Service]\nTimeoutStartSec=20min\nWatchdogSec=2min\n")


def run(picture: str | Path, precision: str) -> list[str]:
    """The words of a run that prints its one estimate of ``picture``; in an emulator it loads for minutes."""
    sets = {"detector.kind": "haar", "bundle.precision": precision, "limits.load_s": 3600}
    options = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    return ["run", str(picture), "--jsonl", "-", *options]


def estimate(printed: str) -> dict:
    (line,) = printed.splitlines()
    return json.loads(line)


def here(picture: Path, precision: str) -> dict:
    """The estimate of this machine."""
    command = [sys.executable, "-m", "edge", *run(picture, precision)]
    return estimate(subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout)


def assert_same(there: dict, ours: dict) -> None:
    """By the rule of golden outputs: cosine 0.999, and no probability off by more than 0.02."""
    assert there["label"] == ours["label"]
    a, b = (np.array(list(found["probabilities"].values())) for found in (there, ours))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) >= 0.999
    assert np.abs(a - b).max() <= 0.02

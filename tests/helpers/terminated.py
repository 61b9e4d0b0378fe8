"""The program is told to stop in the middle of its work, again and again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge.capture.demo import DemoSource

STAND_IN = Path(__file__).parents[1] / "boards" / "looped_camera.py"
AT_ONCE = 3  # programs that run beside each other: no worse a machine than a loaded board


def prepare(folder: Path) -> Path:
    """The program whose camera plays two seconds of the demo for ever."""
    folder.mkdir(parents=True, exist_ok=True)
    clip = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480))
    with DemoSource() as source:
        for frame in islice(source.frames(), 60, 90):
            clip.write(frame.image)
    clip.release()
    return Path(shutil.copy(STAND_IN, folder))


def stop_once(program: Path, after_s: float) -> tuple[float, str]:
    """Start, wait for the first estimate and ``after_s``, send SIGTERM: seconds to the end, and any fault."""
    words = [sys.executable, str(program), "run", "picam://0", "--jsonl", "-", "--set", "detector.kind=haar"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        first = run.stdout.readline()
        time.sleep(after_s)
        run.terminate()
        asked = time.monotonic()
        try:
            out, told = run.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            run.kill()
            return 30.0, "it did not stop"
        took_s = time.monotonic() - asked
    if run.returncode != 130 or b"Traceback" in told:
        return took_s, f"exit code {run.returncode}: {told.decode(errors='replace')[-300:]}"
    try:
        for line in (first + out).splitlines():
            json.loads(line)
    except ValueError:
        return took_s, f"half a line: {line[-80:]!r}"
    return took_s, "" if out.endswith(b"\n") or not out else "the last line is not whole"


def stop_often(count: int, seed: int, folder: Path) -> tuple[list[float], list[str]]:
    """``count`` stops at random moments of a frame: the seconds each took, and what was wrong."""
    program, delays = prepare(folder), np.random.default_rng(seed).uniform(0, 0.2, count)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda delay: stop_once(program, float(delay)), delays))
    return [took_s for took_s, _ in found], [fault for _, fault in found if fault]

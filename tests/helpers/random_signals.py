"""Ending signals at random moments of the shipped program, by the hundred: ``make test-signals``.

Each run reads a clip and writes lines, an annotated clip and a picture. One or two of SIGINT, SIGTERM and
SIGHUP arrive at a random moment between the start of the program and its end. Then the exit code is 130, or 0
if everything was done before; no traceback is printed; lines, clip and picture are there and complete, and
nothing else is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import av

from edge.capture.demo import DemoSource
from edge.system.signals import ENDING

COUNT, LIMIT_S = 1000, 20.0


def faces_clip(path: Path, seconds: float) -> Path:
    """A clip of the demo's two people."""
    with av.open(str(path), "w") as out, DemoSource() as source:
        stream = out.add_stream("mpeg4", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for frame in islice(source.frames(), 60, 60 + round(15 * seconds)):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, "bgr24")))
        out.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> int:
    """How many frames of a clip can be decoded."""
    with av.open(str(path)) as clip:
        return sum(1 for _ in clip.decode(video=0))


def started(process: subprocess.Popen[bytes]) -> bool:
    """Wait until the program has taken over SIGTERM; False if it has ended."""
    while process.poll() is None:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return True
        time.sleep(0.002)
    return False


def one(clip: Path, seed: int, longest_s: float) -> str:
    """Run the program once; the fault, or ""."""
    rng = random.Random(seed)
    numbers = [rng.choice(ENDING) for _ in range(rng.choice((1, 1, 2)))]
    after_s, between_s = rng.uniform(0, longest_s), rng.uniform(0, 0.6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outputs = {"jsonl": folder / "o.jsonl", "annotate": folder / "o.mp4", "trajectory": folder / "o.png"}
        options = [word for key, path in outputs.items() for word in (f"--{key}", str(path))]
        command = [sys.executable, "-m", "edge", "run", str(clip), "--precision", "fp32", *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        if started(process):
            for number in numbers:
                time.sleep(after_s)
                if process.poll() is None:
                    process.send_signal(number)
                after_s = between_s
        try:
            _, told = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"{numbers}: still running {LIMIT_S:g} s later"
        fault = _fault(process.returncode, told.decode(errors="replace"), outputs, folder)
        return fault and f"seed {seed}, {[signal.Signals(n).name for n in numbers]}: {fault}"


def _fault(code: int, told: str, outputs: dict[str, Path], folder: Path) -> str:
    if code not in (0, 130) or "Traceback" in told or "Exception ignored" in told:
        return f"exit {code}, {told[-1500:]}"
    if (code == 130) != ("interrupted; " in told):
        return f"exit {code} without its word: {told[-300:]}"
    strangers = {path.name for path in folder.iterdir()} - {path.name for path in outputs.values()}
    if strangers:
        return f"left behind: {strangers}"
    if "no frame was processed" in told:
        return ""
    missing = [path.name for path in outputs.values() if not path.exists()]
    if missing:
        return f"missing: {missing}; {told[-300:]}"
    processed = int(re.findall(r"(\d+) frames? in ", told)[-1])
    last = -1
    for line in outputs["jsonl"].read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            return f"a torn line: {line}"
        last = json.loads(line)["frame"]
    if last >= processed or frames_of(outputs["annotate"]) != processed:
        return f"{processed} frames, clip of {frames_of(outputs['annotate'])}, last line of frame {last}"
    return ""


def many(count: int, seed: int = 0) -> list[str]:
    """The faults of ``count`` runs, two at a time."""
    with tempfile.TemporaryDirectory() as name:
        clip = faces_clip(Path(name) / "clip.mp4", seconds=2.0)
        began_s = time.monotonic()
        assert not (fault := one(clip, seed, 60.0)), fault  # also takes the time of a whole run
        longest_s = 1.2 * (time.monotonic() - began_s)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            seeds = range(seed + 1, seed + count)
            return [fault for fault in pool.map(lambda s: one(clip, s, longest_s), seeds) if fault]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    faults = many(asked.count, asked.seed)
    print(*faults, sep="\n")
    print(f"{asked.count} runs, {len(faults)} with a fault")
    sys.exit(bool(faults))

"""``emotion-bench start``: from the start of the process to its first estimate, and how large it gets.

A process that only imports the libraries takes turns with it: what nobody can undercut here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.scenes import frames
from edge import session
from edge.__main__ import add_settings
from edge.capture.cv_capture import codec_name, silence_opencv
from edge.errors import EdgeError

HELP = "seconds from the start of the process to the first estimate, and its memory"
LIBRARIES = "import numpy, cv2, onnxruntime; print()"
FRAMES = 60  # of the clip, in which a face has to be
DROP = Path("/proc/sys/vm/drop_caches")


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--runs", type=harness.count, default=10, help="(default: %(default)s)")
    parser.add_argument("--video", type=Path, metavar="FILE", help="with a face at once (default: a scene)")
    parser.add_argument("--cold", action="store_true", help="empty the page cache before each start (root)")


def run(args: argparse.Namespace) -> Report:
    """Start ``emotion-edge run`` on a clip with a face, again and again."""
    wanted = harness.settings(args)
    words: list[str] = []
    for name, value in (("-c", args.config), ("--bundle", args.bundle), ("--precision", args.precision)):
        words += [name, str(value)] if value else []
    words += [word for setting in args.set for word in ("--set", setting)]
    times: dict[str, list[list[float]]] = {"first estimate": [], "libraries alone": []}
    sizes: list[float | None] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = args.video or _clip(Path(folder))
        what = _about(clip)
        program = ["-m", "edge", "run", str(clip), "--jsonl", "-", "--max-frames", str(FRAMES), *words]
        for _ in harness.progress(range(args.runs)):
            took_ms, size = _start(program, args.cold)
            times["first estimate"].append([took_ms])
            sizes.append(size)
            times["libraries alone"].append([_start(["-c", LIBRARIES], args.cold)[0]])
    first = measurement("first estimate", times["first estimate"])
    took_s = first["summary"]["p50"]["value"] / 1e3
    limit, cache = (1.0, "cold page cache") if args.cold else (0.4, "warm")
    inputs = [args.video] if args.video else []
    return report(
        "start", harness.ran(bundle=session.bundle(wanted), inputs=inputs),
        [first, measurement("libraries alone", times["libraries alone"])],
        [
            figure("first estimate", took_s, "s", f"<= {limit}", f"{cache}, {what}"),
            figure("peak memory", largest(sizes), "MB", "<= 120", what),
        ],
    )  # fmt: skip


def _clip(folder: Path) -> Path:
    path = folder / "face.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for frame in [*frames.one_face(), *frames.one_face()]:
        writer.write(frame.image)
    writer.release()
    return path


def _about(clip: Path) -> str:
    """``on a 640x480 MJPG file``, as the container says."""
    silence_opencv()
    file = cv2.VideoCapture(str(clip))
    width, height = (round(file.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    codec = codec_name(file.get(cv2.CAP_PROP_FOURCC))
    file.release()
    return f"on a {width}x{height} {codec} file"


def largest(sizes: Sequence[float | None]) -> float | None:
    """The largest size that could be read; None where none could."""
    return max((size for size in sizes if size is not None), default=None)


def _start(words: Sequence[str], cold: bool) -> tuple[float, float | None]:
    """Milliseconds to the first line on standard output, and peak megabytes of the run."""
    if cold:
        _empty_page_cache()
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    line = child.stdout.readline()
    took_ms = 1e3 * (time.perf_counter() - started)
    peak_mb = _peak_mb(child.pid)
    for _ in child.stdout:
        peak_mb = largest([peak_mb, _peak_mb(child.pid)])
    told = child.communicate()[1].decode(errors="replace").strip()
    if not line or child.returncode != 0:
        why = told.splitlines()[-1] if told and child.returncode else f"no face in its first {FRAMES} frames"
        raise EdgeError(f"the measured process gave no estimate: {why}")
    return took_ms, peak_mb


def _peak_mb(pid: int) -> float | None:
    """Largest resident memory so far, None where it cannot be read.

    Not by getrusage, which would count what this process had when it forked.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", text)  # gone once the process has ended
    return int(found[1]) * 1024 / 1e6 if found else None


def _empty_page_cache() -> None:
    os.sync()
    try:
        DROP.write_text("1\n")
    except OSError as error:
        raise EdgeError(f"--cold cannot empty the page cache ({error.strerror}); run it as root") from error

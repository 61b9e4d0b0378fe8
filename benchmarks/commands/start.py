"""``emotion-bench start``: from the start of the process to its first estimate, and its peak memory.

A process that only imports the libraries takes turns with it: the lower bound on this machine.
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
from edge.capture.cv_capture import codec_name, silence_opencv
from edge.cli.options import add_settings
from edge.errors import EdgeError
from edge.system.cache import writable_cache
from edge.system.progress import with_progress

HELP = "time the program from its start to the first estimate, with its memory"
LIBRARIES = "import numpy, cv2, onnxruntime; print()"
FRAMES = 60  # of the clip, within which a face must appear
DROP = Path("/proc/sys/vm/drop_caches")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The settings, the clip, and how often."""
    add_settings(parser)
    parser.add_argument(
        "--runs", type=harness.count, default=10, metavar="N", help="number of starts (default: %(default)s)"
    )
    parser.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="video whose first frame has a face (default: a built-in scene)",
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="before each start, drop what the system keeps of files in memory (root)",
    )


def run(args: argparse.Namespace) -> Report:
    """Start ``emotion-edge run`` repeatedly on a clip with a face."""
    config = harness.settings(args)
    given = [("-c", args.config), ("--bundle", args.bundle), ("--precision", args.precision)]
    given += [("--set", setting) for setting in args.set]
    options = [word for name, value in given if value for word in (name, str(value))]
    times: dict[str, list[list[float]]] = {"first estimate": [], "libraries alone": []}
    sizes: list[float | None] = []
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        clip = args.video or _clip(Path(folder))
        note = _describe(clip)
        program = ["-m", "edge", "run", str(clip), "--jsonl", "-", "--max-frames", str(FRAMES), *options]
        for _ in with_progress(range(args.runs), args.runs, "rounds"):
            took_ms, size = _start(program, args.cold)
            times["first estimate"].append([took_ms])
            sizes.append(size)
            times["libraries alone"].append([_start(["-c", LIBRARIES], args.cold)[0]])
    first = measurement("first estimate", times["first estimate"])
    took_s = first["summary"]["p50"]["value"] / 1e3
    cache = "cold page cache" if args.cold else "warm page cache"
    with session.parts(config) as parts:
        bundle = parts.bundle
    return report(
        "start", harness.fingerprint_of(bundle=bundle, inputs=frames.inputs(args)),
        [first, measurement("libraries alone", times["libraries alone"])],
        [
            figure("first estimate", took_s, "s", note=f"{cache}, {note}"),
            figure("peak memory", largest(sizes), "MB", note=note),
        ],
    )  # fmt: skip


def _clip(folder: Path) -> Path:
    path = folder / "face.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for frame in [*frames.one_face(), *frames.one_face()]:
        writer.write(frame.image)
    writer.release()
    return path


def _describe(clip: Path) -> str:
    """``on a 640x480 MJPG file``, according to the container."""
    silence_opencv()
    file = cv2.VideoCapture(str(clip))
    width, height = (round(file.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    codec = codec_name(file.get(cv2.CAP_PROP_FOURCC))
    file.release()
    return f"on a {width}x{height} {codec} file"


def largest(sizes: Sequence[float | None]) -> float | None:
    """The largest size that could be read; None if none could."""
    return max((size for size in sizes if size is not None), default=None)


def _start(options: Sequence[str], cold: bool) -> tuple[float, float | None]:
    """Milliseconds to the first line on standard output, and peak megabytes of the process."""
    if cold:
        _empty_page_cache()
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    line = child.stdout.readline()
    took_ms = 1e3 * (time.perf_counter() - started)
    peak_mb = _peak_mb(child.pid)
    for _ in child.stdout:
        peak_mb = largest([peak_mb, _peak_mb(child.pid)])
    log = child.communicate()[1].decode(errors="replace").strip()
    if not line or child.returncode != 0:
        reason = log.splitlines()[-1] if log and child.returncode else f"no face in the first {FRAMES} frames"
        raise EdgeError(f"the measured process gave no estimate: {reason}")
    return took_ms, peak_mb


def _peak_mb(pid: int) -> float | None:
    """Peak resident memory so far; None if it cannot be read.

    Not by getrusage, which would include the memory of this process at the fork.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return None
    match = re.search(r"VmHWM:\s+(\d+) kB", text)  # gone once the process has ended
    return int(match[1]) * 1024 / 1e6 if match else None


def _empty_page_cache() -> None:
    os.sync()
    try:
        DROP.write_text("1\n")
    except OSError as error:
        raise EdgeError(f"--cold cannot empty the page cache ({error.strerror}); run it as root") from error

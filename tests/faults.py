"""The faults of a camera by the hundred: `make test-faults`, or `make test-faults FULL=1` for all of them.

Prints what was asked and what was measured, with the seed that repeats it, and ends with 1 where a figure
is missed.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

import rtsp_server
import terminated
import tiny
from noise_pictures import NOISE, breaks
from unplugged_camera import Camera, Watcher, World

from edge import bundle as bundles
from edge.capture.reconnect.frame_checks import BadFrames
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.timeouts import Timeouts
from edge.capture.rtsp import RtspSource
from edge.data import ANY_FACE, Face, Frame, Search
from edge.engines.ort import OrtEngine
from edge.faces.tracker import Tracker
from edge.pipeline import Pipeline
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer

Row = tuple[str, str, str, bool]


def stalls(count: int, stall_s: float, seed: int) -> list[Row]:
    """``count`` times the camera goes away, in one of four ways, and comes back after a random time."""
    rng, world = np.random.default_rng(seed), World()
    before = resources()
    noticed, back = [], []
    with Recovering(lambda: Camera(world), None, Timeouts(stall_s, 1.0), seed=seed) as frames:
        taken = iter(frames)
        next(taken)
        for _ in range(count):
            world.kind = str(rng.choice(["blocks", "raises", "ends", "refuses"]))
            rungs, away_s = frames.rungs["reopened"], float(rng.uniform(stall_s, 4 * stall_s))
            world.plugged.clear()
            gone = time.monotonic()
            watcher = Watcher(lambda had=rungs: frames.rungs["reopened"] > had)
            threading.Timer(away_s, world.plugged.set).start()
            while next(taken).timestamp_s < gone + away_s - 0.05:
                pass
            back.append(max(time.monotonic() - gone - away_s, 0.0))
            noticed.append(watcher.seen_s() - gone)
    time.sleep(1.0)
    leaked = [after - was for was, after in zip(before, resources(), strict=True)]
    return [
        at_most(f"{count} stalls: noticed, s, p99", np.quantile(noticed, 0.99), stall_s + 0.25),
        at_most(f"{count} stalls: frames after return, s, p99", np.quantile(back, 0.99), 5.0),
        at_most("leaked threads and descriptors", max(*leaked, 0), 0),
    ]


def rtsp_cycles(count: int, seed: int) -> list[Row]:
    """``count`` times a real RTSP server is killed or falls silent, and comes back on the same port."""
    if not rtsp_server.python()[0]:
        return [("RTSP cycles", rtsp_server.python()[1], "a server", False)]
    rng, back = np.random.default_rng(seed), []
    with ExitStack() as servers:
        server = servers.enter_context(rtsp_server.serve())
        address = server.address("clock")
        with Recovering(
            lambda: RtspSource(address), None, Timeouts(stall_s=2.5), patient=True, seed=seed
        ) as frames:
            taken = iter(frames)
            next(taken)
            before = resources()
            for _ in range(count):
                if rng.random() < 0.5:
                    server.process.kill()
                    server.process.communicate()  # its pipe is ours, and no leak
                    time.sleep(float(rng.uniform(0, 1.5)))
                    server = servers.enter_context(rtsp_server.serve(server.port))
                    returned = time.monotonic()
                else:
                    server.process.send_signal(signal.SIGSTOP)
                    silent_s = float(rng.uniform(2.5, 4))
                    threading.Timer(silent_s, server.process.send_signal, [signal.SIGCONT]).start()
                    returned = time.monotonic() + silent_s
                while (frame := next(taken)).timestamp_s < returned:
                    pass
                back.append(frame.timestamp_s - returned)
            for _ in range(25):
                next(taken)
            after = resources()
    leaked = max(now - was for was, now in zip(before, after, strict=True))
    return [
        at_most(f"{count} RTSP cuts: frames after return, s, p99", np.quantile(back, 0.99), 5.0),
        at_most("leaked threads and descriptors", max(leaked, 0), 0),
    ]


def resources() -> tuple[int, int]:
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


class OneFace:
    """A detector that sees one face in every frame, so that every good frame is worked on."""

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        return [Face(np.array([8, 8, 88, 88], np.float32), 0.9)]


def tiny_pipeline(folder: Path) -> Pipeline:
    loaded = bundles.load(tiny.write(folder))
    engine = OrtEngine(loaded.model("fp32"))
    recognizer = Recognizer(engine, loaded, Decision(loaded.labels, 1.0, 0.0, 0.0))
    return Pipeline(OneFace(), Tracker(), recognizer, [])


def malformed(count: int, seed: int, folder: Path) -> list[Row]:
    """``count`` frames, half of them broken at random; what is called good goes through the pipeline."""
    rng, checks, pipeline = np.random.default_rng(seed), BadFrames(), tiny_pipeline(folder)
    faults: Counter[str] = Counter()
    wrong = crashes = 0
    for at in range(count):
        image, broken = (breaks(rng, at), True) if rng.random() < 0.5 else (NOISE[at % 64], False)
        frame = Frame(image, at / 30, at)
        try:
            fault = checks.fault(frame)
            faults[fault or "good"] += 1
            if fault is None:
                estimates = pipeline.step(frame)
                wrong += broken and any(estimate.fresh for estimate in estimates)
        except Exception as error:  # counted, not raised: the figure is how many there are
            crashes += 1
            logging.error("frame %d, %s: %r", at, image.shape, error)
    print("  ", dict(faults))
    return [
        at_most(f"{count} frames, half of them broken: crashes", crashes, 0),
        at_most("estimates from broken frames", wrong, 0),
    ]


def memory(count: int, folder: Path) -> list[Row]:
    """Resident memory over ``count`` frames through recovery and pipeline: the slope after the warm-up."""
    pipeline, sizes = tiny_pipeline(folder), []
    with Recovering(lambda: Camera(World(), 1e5), None) as frames:
        for at, frame in enumerate(itertools.islice(frames, count)):
            pipeline.step(frame)
            if at % (count // 100) == 0:
                sizes.append(resident_kb())
    late = np.array(sizes[20:], float)
    x = np.arange(len(late)) * (count / 100)
    slope, low, high = slope_with_interval(x, late)
    text = f"{1e6 * slope:.0f} [{1e6 * low:.0f}, {1e6 * high:.0f}]"
    flat = low <= 0 or 1e6 * slope <= 1024
    return [(f"{count} frames: memory, kB per million frames, 95 %", text, "holds 0, or <= 1024", flat)]


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def slope_with_interval(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Least squares slope and its 95 % interval by moving-block bootstrap."""
    rng, block = np.random.default_rng(0), 10
    slopes = []
    for _ in range(500):
        starts = rng.integers(0, len(x) - block, len(x) // block)
        rows = np.concatenate([np.arange(s, s + block) for s in starts])
        slopes.append(np.polyfit(x[rows], y[rows], 1)[0])
    low, high = np.quantile(slopes, [0.025, 0.975])
    return float(np.polyfit(x, y, 1)[0]), float(low), float(high)


def ages(folder: Path, seconds: float) -> list[Row]:
    """Age of estimates while the camera runs from 1 to 240 frames a second."""
    rows = []
    for fps in (1, 5, 15, 30, 60, 120, 240):
        pipeline, found = tiny_pipeline(folder / str(fps)), []
        with Recovering(lambda fps=fps: Camera(World(), fps), None, Timeouts(stall_s=5)) as frames:
            for frame in itertools.islice(frames, max(int(fps * seconds), 5)):
                pipeline.step(frame)
                found.append(time.monotonic() - frame.timestamp_s)
        p50, p99 = (1e3 * float(q) for q in np.quantile(found, [0.5, 0.99]))
        period = 1e3 / fps
        good = p50 <= 2 * period and p99 <= max(2 * period, 25)
        limit = f"<= {2 * period:.0f}, {max(2 * period, 25):.0f}"
        rows.append((f"age at {fps} fps, ms, p50 and p99", f"{p50:.1f}, {p99:.1f}", limit, good))
    return rows


def stops(count: int, seed: int, folder: Path) -> list[Row]:
    """``count`` runs of the program are sent SIGTERM in mid-frame."""
    took_s, faults = terminated.stop_often(count, seed, folder)
    for fault in faults:
        print("  ", fault)
    return [
        at_most(f"{count} SIGTERMs in mid-frame: stopped, s, slowest", max(took_s), 2.0),
        at_most("other ends than clean ones", len(faults), 0),
    ]


def at_most(what: str, found: float, limit: float) -> Row:
    return what, f"{found:.2f}", f"<= {limit:g}", bool(found <= limit)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", metavar="WORD", default="", help="parts whose name holds it, such as memory"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    logging.getLogger("edge").setLevel(logging.CRITICAL)
    import tempfile

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, Callable[[], list[Row]]] = {
            "stalls": lambda: stalls(1000 if args.full else 200, 0.2, args.seed),
            "rtsp": lambda: rtsp_cycles(500 if args.full else 40, args.seed),
            "malformed": lambda: malformed(10**6 if args.full else 10**5, args.seed, folder / "malformed"),
            "memory": lambda: memory(10**6 if args.full else 10**5, folder / "memory"),
            "ages": lambda: ages(folder / "ages", 20 if args.full else 5),
            "stops": lambda: stops(1000 if args.full else 40, args.seed, folder / "stops"),
        }
        for part in (part for name, part in parts.items() if args.only in name):
            started = time.monotonic()
            new = part()
            rows += new
            for what, found, limit, good in new:
                print(f"{'ok  ' if good else 'MISS'} {what:60} {found:>24}   asked {limit}", flush=True)
            print(f"     {time.monotonic() - started:.0f} s", flush=True)
    print(f"seed {args.seed}; {sum(not row[3] for row in rows)} figures missed")
    return int(any(not row[3] for row in rows))


if __name__ == "__main__":
    sys.exit(main())

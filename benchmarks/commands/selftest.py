"""``emotion-bench selftest``: a network and a detector with known delays, measured like the real ones.

The report must match the truth within 1 % or 20 microseconds, and dropped frames must be counted exactly. An
age also contains the handover of a frame between threads, which depends on the machine: it is reported but
not judged. The exit code is 1 if anything is missed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.core.stages import Stages, measure
from benchmarks.scenes.frames import endless
from benchmarks.scenes.paced import PacedCamera, Record, watch
from edge.bundle import Bundle
from edge.capture.reconnect.latest_frame import NewestFrames
from edge.data import ANY_FACE, Face, Frame, Search, TensorSpec
from edge.faces.tracker import Tracker
from edge.manifest import FaceInput, Manifest, StateTensor
from edge.pipeline import Pipeline
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer
from edge.system.closing import Closing

HELP = "measure a pipeline with known delays: are the measurements right on this machine?"
DELAYS_MS = (0.05, 0.2, 1.0, 5.0)
DETECTOR_MS, NETWORK_MS = 2.0, 1.0
AGE_DETECTOR_MS, AGE_FPS = 4.0, 30.0  # 5 ms with the network, in a frame period of 33
BUSY_MS, BUSY_FPS, BUSY_FRAMES = 50.0, 60.0, 60  # three periods per frame: two of three are dropped
SLOW_SHARE, SLOW_MS = 0.05, 10.0  # of the calls, which p99 has to show
_BUNDLE = Bundle(
    Path(),
    Manifest(
        "known", "1", "none", ("a", "b"), FaceInput(48, 1, "standardize"), (StateTensor("h", "new_h", (4,)),),
        step_hz=30, trained_window=1, warm_steps=1, reset_after_s=1.0, files={},
    ),
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument(
        "--seconds",
        type=harness.positive,
        default=0.2,
        help="seconds for each delay and round (default: 0.2)",
    )


def run(args: argparse.Namespace) -> Report:
    """Compare each known delay with the measured one."""
    work: dict[str, Callable[[], object]] = {f"{ms:g} ms": _Delay([ms]) for ms in DELAYS_MS}
    slow = [SLOW_MS if at % round(1 / SLOW_SHARE) == 0 else 1.0 for at in range(1000)]
    work["1 ms, some 10 ms"] = _Delay(slow)
    times = harness.take_turns(work, seconds=args.seconds)
    rows = [measurement(name, rounds) for name, rounds in times.items()]
    figures = [
        _error(f"p50 of {r['name']}", r["summary"]["p50"]["value"], ms)
        for r, ms in zip(rows, DELAYS_MS, strict=False)
    ]
    figures.append(_error("p99 of 1 ms, some 10 ms", rows[-1]["summary"]["p99"]["value"], SLOW_MS))
    figures += [*_stage_figures(), *_age_figures(), *_drop_figures()]
    return report("selftest", harness.fingerprint_of(), rows, figures)


def _stage_figures() -> list[dict[str, Any]]:
    """The stages of a pipeline whose detector and network wait."""
    stages, counts = Stages(), {"frames": 0, "faces": 0, "estimates": 0}
    measure(_pipeline(DETECTOR_MS), islice(endless(_frames(), 1 / 30), 200), stages, counts)
    known = {"detect": DETECTOR_MS, "network": NETWORK_MS}
    whole = stages.reconciled()
    return [
        *(_error(f"stage {at}", float(np.median(stages.milliseconds()[at])), ms) for at, ms in known.items()),
        figure("sum of the stages, off the whole", abs(1 - whole), "", "<= 0.02", f"{whole:.4f} of it"),
    ]


def _age_figures() -> list[dict[str, Any]]:
    """The age of frames from a paced camera after known work, less that work."""
    work_ms, record = AGE_DETECTOR_MS + NETWORK_MS, Record(time.monotonic())
    with NewestFrames(_Camera(AGE_FPS, 100)) as camera:
        watch(_pipeline(AGE_DETECTOR_MS), iter(camera), camera, record, seconds=2.0, warm_s=0.5)
    p50 = float(np.median(record.ages_ms.floats()))
    note = f"{p50:.4f} ms measured, {work_ms:g} ms of work; the rest is the handover between threads"
    return [figure(f"p50 of age, less {work_ms:g} ms of work", p50 - work_ms, "ms", ">= 0", note)]


def _drop_figures() -> list[dict[str, Any]]:
    """Each frame of a camera that is too fast is either processed or counted as dropped."""
    camera, work, done = _Camera(BUSY_FPS, BUSY_FRAMES), _Delay([BUSY_MS]), 0
    with NewestFrames(camera) as newest:
        for _ in newest:
            work()
            done += 1
        dropped = newest.dropped
    off = abs(done + dropped - camera.given)
    note = f"{done} done and {dropped} dropped of {camera.given}"
    return [
        figure("frames neither done nor counted as dropped", off, "", "<= 0", note),
        figure("share dropped", dropped / camera.given, "", "", "with work that takes three frame periods"),
    ]


class _Camera(PacedCamera):
    """A paced camera that ends and counts its frames."""

    def __init__(self, fps: float, most: int) -> None:
        super().__init__(_frames(), fps)
        self._most, self.given = most, 0

    def frames(self) -> Iterator[Frame]:
        for frame in islice(super().frames(), self._most):
            self.given += 1
            yield frame


def _error(name: str, measured_ms: float | None, true_ms: float) -> dict[str, Any]:
    """The error of a figure as a share of the allowed error, 1 % or 20 us, whichever is more."""
    if measured_ms is None:
        return figure(name, None, "of the allowed error", "<= 1", "too few samples; raise --seconds")
    allowed = max(0.01 * true_ms, 0.02)
    note = f"{measured_ms:.4f} ms measured, {true_ms:g} ms true; 1 is 1 % or 20 us"
    return figure(name, abs(measured_ms - true_ms) / allowed, "of the allowed error", "<= 1", note)


def _pipeline(detector_ms: float) -> Pipeline:
    recognizer = Recognizer(_KnownEngine(), _BUNDLE, Decision(_BUNDLE.labels, 1.0, 0.0, 0.0))
    return Pipeline(_KnownDetector(detector_ms), Tracker(confirm=1), recognizer, [])


def _frames() -> list[Frame]:
    return [Frame(np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8), 0.0, 0)]


class _Delay:
    """A call that keeps the processor busy for known times, in order."""

    def __init__(self, milliseconds: Sequence[float]) -> None:
        self._milliseconds, self._at = milliseconds, 0

    def __call__(self, since_s: float | None = None) -> None:
        """Return a known time from now, or from ``since_s`` by perf_counter."""
        began_s = time.perf_counter() if since_s is None else since_s
        end = began_s + self._milliseconds[self._at % len(self._milliseconds)] / 1e3
        self._at += 1
        while time.perf_counter() < end:
            pass


class _KnownDetector(Closing):
    def __init__(self, milliseconds: float) -> None:
        self._delay = _Delay([milliseconds])

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        began_s = time.perf_counter()
        faces = [Face(np.array([8, 8, 88, 88], np.float32), 0.9)]
        self._delay(began_s)
        return faces


class _KnownEngine(Closing):
    inputs: Mapping[str, TensorSpec] = {}
    outputs: Mapping[str, TensorSpec] = {}
    serves = "a delay"

    def __init__(self) -> None:
        self._delay = _Delay([NETWORK_MS])

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        began_s = time.perf_counter()
        out = {"logits": np.zeros((len(feeds["face"]), 2), np.float32), "new_h": np.asarray(feeds["h"])}
        self._delay(began_s)
        return out

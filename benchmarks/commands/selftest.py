"""``emotion-bench selftest``: a network and a detector of known delay, measured as the real ones are.

What the report says must be what is true, within 1 % or 20 microseconds; frames that are dropped are counted
exactly. An age holds, beside the work, what it costs to hand a frame from one thread to another: how much is
the machine's, so it is told and not judged. The command ends with 1 where anything is missed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.commands import pipeline
from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.core.stages import Stages
from benchmarks.scenes.frames import endless
from benchmarks.scenes.paced import PacedCamera, Watched, watch
from edge.bundle import Bundle
from edge.capture.reconnect.latest_frame import NewestFrames
from edge.data import Face, Frame, TensorSpec
from edge.faces.tracker import Tracker
from edge.pipeline import Pipeline
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer

HELP = "measure a pipeline of known delays: is this harness right on this machine?"
DELAYS_MS = (0.05, 0.2, 1.0, 5.0)
DETECTOR_MS, NETWORK_MS = 2.0, 1.0
AGE_DETECTOR_MS, AGE_FPS = 4.0, 30.0  # with the network 5 ms in a frame period of 33
BUSY_MS, BUSY_FPS, BUSY_FRAMES = 50.0, 60.0, 60  # three periods a frame: two of three are dropped
SLOW_SHARE, SLOW_MS = 0.05, 10.0  # of the calls, which p99 has to show
_MANIFEST = {
    "input": {"size": 48, "channels": 1, "normalization": "standardize"},
    "step_hz": 30, "reset_after_s": 1.0, "warm_steps": 1,
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=harness.positive, default=0.2, help="of each delay a round (default: 0.2)"
    )


def run(args: argparse.Namespace) -> Report:
    """Report each known delay beside what was measured."""
    work: dict[str, Callable[[], object]] = {f"{ms:g} ms": _Delay([ms]) for ms in DELAYS_MS}
    slow = [SLOW_MS if at % round(1 / SLOW_SHARE) == 0 else 1.0 for at in range(1000)]
    work["1 ms, some 10 ms"] = _Delay(slow)
    found = harness.take_turns(work, seconds=args.seconds)
    rows = [measurement(name, rounds) for name, rounds in found.items()]
    figures = [
        _error(f"p50 of {r['name']}", r["summary"]["p50"]["value"], ms)
        for r, ms in zip(rows, DELAYS_MS, strict=False)
    ]
    figures.append(_error("p99 of 1 ms, some 10 ms", rows[-1]["summary"]["p99"]["value"], SLOW_MS))
    figures += [*_stage_figures(), *_age_figures(), *_drop_figures()]
    return report("selftest", harness.ran(), rows, figures)


def _stage_figures() -> list[dict[str, Any]]:
    stages = _stages()
    known = {"detect": DETECTOR_MS, "network": NETWORK_MS}
    whole = stages.reconciled()
    return [
        *(_error(f"stage {at}", float(np.median(stages.milliseconds()[at])), ms) for at, ms in known.items()),
        figure("sum of the stages, off the whole", abs(1 - whole), "", "<= 0.02", f"{whole:.4f} of it"),
    ]


def _age_figures() -> list[dict[str, Any]]:
    """The age of frames from a paced camera behind known work, less that work."""
    work_ms, frames = AGE_DETECTOR_MS + NETWORK_MS, _Camera(AGE_FPS, 100)
    seen = Watched(time.monotonic())
    with NewestFrames(frames) as opened:
        watch(_pipeline(AGE_DETECTOR_MS), iter(opened), opened, seen, seconds=2.0, warm_s=0.5)
    p50 = float(np.median(seen.ages_ms.floats()))
    note = f"{p50:.4f} ms measured, {work_ms:g} ms of work; the rest is handing over, the machine's own"
    return [figure(f"p50 of age, less {work_ms:g} ms of work", p50 - work_ms, "ms", ">= 0", note)]


def _drop_figures() -> list[dict[str, Any]]:
    """Each frame of a camera that is too fast is either worked on or counted as dropped."""
    camera, work, done = _Camera(BUSY_FPS, BUSY_FRAMES), _Delay([BUSY_MS]), 0
    with NewestFrames(camera) as opened:
        for _ in opened:
            work()
            done += 1
        dropped = opened.dropped
    off = abs(done + dropped - camera.given)
    note = f"{done} done and {dropped} dropped of {camera.given}"
    return [
        figure("frames neither done nor counted as dropped", off, "", "<= 0", note),
        figure("share dropped", dropped / camera.given, "", "", "of work that takes three frame periods"),
    ]


class _Camera(PacedCamera):
    """A paced camera that ends, and counts what it gave."""

    def __init__(self, fps: float, most: int) -> None:
        super().__init__(_frames(), fps)
        self._most, self.given = most, 0

    def frames(self) -> Iterator[Frame]:
        for frame in islice(super().frames(), self._most):
            self.given += 1
            yield frame


def _error(name: str, found_ms: float, true_ms: float) -> dict[str, Any]:
    """How far a figure is from the truth, in what is allowed: 1 for 1 % or 20 us, whichever is more."""
    allowed = max(0.01 * true_ms, 0.02)
    note = f"{found_ms:.4f} ms measured, {true_ms:g} ms true; 1 is 1 % or 20 us"
    return figure(name, abs(found_ms - true_ms) / allowed, "of the allowed error", "<= 1", note)


def _stages() -> Stages:
    """The stages of a pipeline whose detector and network wait."""
    stages = Stages()
    counts = {"frames": 0, "faces": 0, "estimates": 0}
    pipeline.measure(_pipeline(DETECTOR_MS), islice(endless(_frames(), 1 / 30), 200), stages, counts)
    return stages


def _pipeline(detector_ms: float) -> Pipeline:
    bundle = _KnownBundle()
    recognizer = Recognizer(_KnownEngine(), bundle, Decision(bundle.labels, 1.0, 0.0, 0.0))
    return Pipeline(_KnownDetector(detector_ms), Tracker(confirm=1), recognizer, [])


def _frames() -> list[Frame]:
    return [Frame(np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8), 0.0, 0)]


class _Delay:
    """A call that keeps the processor busy for known times, one after the other."""

    def __init__(self, milliseconds: Sequence[float]) -> None:
        self._milliseconds, self._at = milliseconds, 0

    def __call__(self, since_s: float | None = None) -> None:
        """Come back a known time after now, or after ``since_s`` by perf_counter."""
        began_s = time.perf_counter() if since_s is None else since_s
        end = began_s + self._milliseconds[self._at % len(self._milliseconds)] / 1e3
        self._at += 1
        while time.perf_counter() < end:
            pass


class _Known:
    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass  # nothing is held


class _KnownDetector(_Known):
    width_share, starts_at = 1.0, 0.0
    expects: float | None = None

    def __init__(self, milliseconds: float) -> None:
        self._delay = _Delay([milliseconds])

    def detect(self, frame: Frame) -> list[Face]:
        began_s = time.perf_counter()
        found = [Face(np.array([8, 8, 88, 88], np.float32), 0.9)]
        self._delay(began_s)
        return found


class _KnownEngine(_Known):
    inputs: Mapping[str, TensorSpec] = {}
    outputs: Mapping[str, TensorSpec] = {}
    serves = "a delay"

    def __init__(self) -> None:
        self._delay = _Delay([NETWORK_MS])

    def tick(self) -> None:
        pass  # nothing changes between two frames

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        began_s = time.perf_counter()
        found = {"logits": np.zeros((len(feeds["face"]), 2), np.float32), "new_h": np.asarray(feeds["h"])}
        self._delay(began_s)
        return found


class _KnownBundle(Bundle):
    def __init__(self) -> None:
        state = [{"input": "h", "output": "new_h", "shape": [4]}]
        super().__init__(None, {**_MANIFEST, "labels": ["a", "b"], "state": state})  # type: ignore[arg-type]

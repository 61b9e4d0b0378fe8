"""``emotion-bench selftest``: a network and a detector of known delay, measured as the real ones are.

What the report says must be what is true, within 1 % or 20 microseconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks import harness, pipeline
from benchmarks.fingerprint import fingerprint
from benchmarks.report import Report, figure, measurement, report
from benchmarks.scenes import Looped
from benchmarks.stages import Stages
from edge.bundle import Bundle
from edge.data import Face, Frame, TensorSpec
from edge.faces.tracker import Tracker
from edge.pipeline import Pipeline
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer

HELP = "measure a pipeline of known delays: is this harness right on this machine?"
DELAYS_MS = (0.05, 0.2, 1.0, 5.0)
DETECTOR_MS, NETWORK_MS = 2.0, 1.0
SLOW_SHARE, SLOW_MS = 0.05, 10.0  # of the calls, which p99 has to show
_MANIFEST = {
    "input": {"size": 48, "channels": 1, "normalisation": "standardise"},
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
    stages = _stages()
    for stage, ms in (("detect", DETECTOR_MS), ("network", NETWORK_MS)):
        figures.append(_error(f"stage {stage}", float(np.median(stages.milliseconds()[stage])), ms))
    figures.append(figure("sum of the stages", stages.reconciled(), "of the whole", ">= 0.98"))
    return report("selftest", fingerprint(None, [], harness.command_line(), 0), rows, figures)


def _error(name: str, found_ms: float, true_ms: float) -> dict[str, Any]:
    """How far a figure is from the truth, in what is allowed: 1 for 1 % or 20 us, whichever is more."""
    allowed = max(0.01 * true_ms, 0.02)
    note = f"{found_ms:.4f} ms measured, {true_ms:g} ms true; 1 is 1 % or 20 us"
    return figure(name, abs(found_ms - true_ms) / allowed, "of the allowed error", "<= 1", note)


def _stages() -> Stages:
    """The stages of a pipeline whose detector and network wait."""
    stages = Stages()
    bundle = _KnownBundle()
    recognizer = Recognizer(_KnownEngine(), bundle, Decision(bundle.labels, 1.0, 0.0, 0.0))
    known = Pipeline(_KnownDetector(), Tracker(confirm=1), recognizer, [])
    frames = [Frame(np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8), 0.0, 0)]
    counts = {"frames": 0, "faces": 0, "estimates": 0}
    pipeline.measure(known, Looped(frames, 1 / 30, 200).frames(), stages, counts)
    return stages


class _Delay:
    """A call that keeps the processor busy for known times, one after the other."""

    def __init__(self, milliseconds: Sequence[float]) -> None:
        self._milliseconds, self._at = milliseconds, 0

    def __call__(self) -> None:
        end = time.perf_counter() + self._milliseconds[self._at % len(self._milliseconds)] / 1e3
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

    def __init__(self) -> None:
        self._delay = _Delay([DETECTOR_MS])

    def detect(self, frame: Frame) -> list[Face]:
        self._delay()
        return [Face(np.array([8, 8, 88, 88], np.float32), 0.9)]


class _KnownEngine(_Known):
    inputs: Mapping[str, TensorSpec] = {}
    outputs: Mapping[str, TensorSpec] = {}
    serves = "a delay"

    def __init__(self) -> None:
        self._delay = _Delay([NETWORK_MS])

    def tick(self) -> None:
        pass  # nothing changes between two frames

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        self._delay()
        return {"logits": np.zeros((len(feeds["face"]), 2), np.float32), "new_h": np.asarray(feeds["h"])}


class _KnownBundle(Bundle):
    def __init__(self) -> None:
        state = [{"input": "h", "output": "new_h", "shape": [4]}]
        super().__init__(None, {**_MANIFEST, "labels": ["a", "b"], "state": state})  # type: ignore[arg-type]

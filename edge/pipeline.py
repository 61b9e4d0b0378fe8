"""The only loop: camera -> faces -> tracks -> one recurrent step per face -> sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from edge.data import EmotionEstimate, Face, Frame
from edge.faces.tracker import Tracker
from edge.health.load_governor import Level
from edge.protocols import FaceDetector, Sink
from edge.recognition.recognizer import Recognizer

ALL_AROUND_S = 1.0  # so often small faces are looked for, too, while large ones are tracked


@dataclass
class Pipeline:
    """The parts in the order in which a frame meets them."""

    detector: FaceDetector
    tracker: Tracker
    recognizer: Recognizer
    sinks: Sequence[Sink]
    detect_every: int = 1  # frames; tracks carry on in between
    steps: int = 0
    sparing: int = 1  # times as long between two detections, where the machine is to be spared
    looks: int = 0  # of the detector
    next_look: int = 0  # the step in which it runs again
    last_look_s: float = -inf
    all_around_s: float = -inf  # of the last look for faces of any size

    def step(self, frame: Frame) -> list[EmotionEstimate]:
        """Take one frame through all rooms and return the estimates of its visible tracks."""
        tracks = self.tracker.update(self._look(frame), frame.timestamp_s)
        estimates = self.recognizer.update(frame, tracks)
        for sink in self.sinks:
            sink.write(frame, estimates)
        self.steps += 1
        return estimates

    def _look(self, frame: Frame) -> list[Face] | None:
        """Faces, where the detector runs: in its turn, where a face has come or got lost, and in time."""
        now = frame.timestamp_s
        unsure = self.tracker.unsure
        # Slow cameras: no track may die only because nobody looked. "not <" is true of times that jump.
        overdue = not 0 <= 2 * (now - self.last_look_s) < self.tracker.lost_s
        if not ((unsure and self.sparing == 1) or overdue or self.steps >= self.next_look):
            return None
        self.next_look, self.last_look_s = self.steps + self.detect_every * self.sparing, now
        self.looks += 1
        self.detector.expects = self._expected(frame, unsure)
        return self.detector.detect(frame)

    def _expected(self, frame: Frame, unsure: bool) -> float | None:
        """Share of the frame's width of the smallest face to look for; None for whatever is there."""
        smallest = self.tracker.smallest
        around = not 0 <= frame.timestamp_s - self.all_around_s < ALL_AROUND_S
        if smallest is None or unsure or around:
            self.all_around_s = frame.timestamp_s
            return None
        return smallest / frame.image.shape[1]

    def spare(self, level: Level) -> None:
        """Do as much work as ``level`` allows."""
        self.detector.width_share = level.width_share
        self.recognizer.step_share = level.step_share
        self.sparing = level.detect_every

"""The only loop: camera -> faces -> tracks -> one recurrent step per face -> sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.data import EmotionEstimate, Face, Frame
from edge.faces.tracker import Tracker
from edge.health.rate import Level
from edge.protocols import FaceDetector, Sink
from edge.recognition.recognizer import Recognizer

ALL_AROUND = 6  # every so many looks small faces are looked for, too, while large ones are tracked


@dataclass
class Pipeline:
    """The parts in the order in which a frame meets them."""

    detector: FaceDetector
    tracker: Tracker
    recognizer: Recognizer
    sinks: Sequence[Sink]
    detect_every: int = 1  # frames; tracks carry on in between
    steps: int = 0
    sparing: int = 1  # frames between two detections where the machine is to be spared
    looks: int = 0  # of the detector
    next_look: int = 0  # the step in which it runs again

    def step(self, frame: Frame) -> list[EmotionEstimate]:
        """Take one frame through all rooms and return the estimates of its visible tracks."""
        tracks = self.tracker.update(self._look(frame), frame.timestamp_s)
        estimates = self.recognizer.update(frame, tracks)
        for sink in self.sinks:
            sink.write(frame, estimates)
        self.steps += 1
        return estimates

    def _look(self, frame: Frame) -> list[Face] | None:
        """Faces, where the detector runs: in its turn, or where a face has come or got lost."""
        unsure = self.tracker.unsure
        if self.steps < self.next_look and not (unsure and self.sparing == 1):
            return None
        self.next_look = self.steps + max(self.detect_every, self.sparing)
        self.looks += 1
        smallest = self.tracker.smallest
        if unsure or smallest is None or self.looks % ALL_AROUND == 0:
            self.detector.expects = None
        else:
            self.detector.expects = smallest / frame.image.shape[1]
        return self.detector.detect(frame)

    def spare(self, level: Level) -> None:
        """Do as much work as ``level`` allows."""
        self.detector.width_share = level.width_share
        self.recognizer.step_share = level.step_share
        self.sparing = level.detect_every

"""The only loop: camera -> faces -> tracks -> one recurrent step per face -> sinks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.data import EmotionEstimate, Frame
from edge.faces.tracker import Tracker
from edge.protocols import FaceDetector, Sink
from edge.recognition.recognizer import Recognizer


@dataclass
class Pipeline:
    """The parts in the order in which a frame meets them."""

    detector: FaceDetector
    tracker: Tracker
    recognizer: Recognizer
    sinks: Sequence[Sink]
    detect_every: int = 1  # frames; tracks carry on in between
    steps: int = 0

    def step(self, frame: Frame) -> list[EmotionEstimate]:
        """Take one frame through all rooms and return the estimates of its visible tracks."""
        faces = self.detector.detect(frame) if self.steps % self.detect_every == 0 else None
        tracks = self.tracker.update(faces, frame.timestamp_s)
        estimates = self.recognizer.update(frame, tracks)
        for sink in self.sinks:
            sink.write(frame, estimates)
        self.steps += 1
        return estimates

    def run(self, frames: Iterable[Frame]) -> None:
        """Step through all frames."""
        for frame in frames:
            self.step(frame)

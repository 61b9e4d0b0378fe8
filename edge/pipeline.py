"""The only loop: camera -> faces -> tracks -> one recurrent step per face -> sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.data import EmotionEstimate, Frame
from edge.faces.tracker import Tracker
from edge.health.rate import Level
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
    sparing: int = 1  # frames between two detections where the machine is to be spared

    def step(self, frame: Frame) -> list[EmotionEstimate]:
        """Take one frame through all rooms and return the estimates of its visible tracks."""
        looks = self.steps % max(self.detect_every, self.sparing) == 0
        faces = self.detector.detect(frame) if looks else None
        tracks = self.tracker.update(faces, frame.timestamp_s)
        estimates = self.recognizer.update(frame, tracks)
        for sink in self.sinks:
            sink.write(frame, estimates)
        self.steps += 1
        return estimates

    def spare(self, level: Level) -> None:
        """Do as much work as ``level`` allows."""
        self.detector.width_share = level.width_share
        self.recognizer.step_share = level.step_share
        self.sparing = level.detect_every

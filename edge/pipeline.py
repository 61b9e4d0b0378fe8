"""The only loop: camera -> faces -> tracks -> one recurrent step per face -> outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from edge.data import EmotionEstimate, Face, Frame, Search
from edge.faces.tracker import Tracker
from edge.health.load_governor import LEVELS, Level
from edge.protocols import FaceDetector, PictureSink
from edge.recognition.recognizer import Recognizer

FULL_SEARCH_S = 1.0  # so often small faces are looked for, too, while large ones are tracked


@dataclass
class Pipeline:
    """The parts in the order in which a frame meets them."""

    detector: FaceDetector
    tracker: Tracker
    recognizer: Recognizer
    sinks: Sequence[PictureSink] = ()
    detect_every: int = 1  # frames; tracks carry on in between
    level: Level = LEVELS[0]  # how much work is done
    steps: int = 0
    detections: int = 0
    _next_step: int = 0  # in which the detector runs again
    _last_s: float = -inf  # of the last detection
    _full_search_s: float = -inf  # of the last search for faces of any size

    def step(self, frame: Frame) -> list[EmotionEstimate]:
        """Take one frame through all parts and return the estimates of its visible tracks."""
        tracks = self.tracker.update(self._detect(frame), frame.timestamp_s)
        estimates = self.recognizer.update(frame, tracks)
        for sink in self.sinks:
            sink.write(frame, estimates)
        self.steps += 1
        return estimates

    def _detect(self, frame: Frame) -> list[Face] | None:
        """Faces, where the detector runs: in its turn, where a face has come or got lost, and in time."""
        now = frame.timestamp_s
        unsure = self.tracker.unsure
        # Slow cameras: no track may die only because nobody looked. "not <" is true of times that jump.
        overdue = not 0 <= 2 * (now - self._last_s) < self.tracker.lost_s
        if not ((unsure and self.level.detect_every == 1) or overdue or self.steps >= self._next_step):
            return None
        self._next_step = self.steps + self.detect_every * self.level.detect_every
        self._last_s = now
        self.detections += 1
        return self.detector.detect(frame, Search(self._smallest(frame, unsure), self.level.width_share))

    def _smallest(self, frame: Frame, unsure: bool) -> float | None:
        """Share of the frame's width of the smallest face to look for; None for faces of any size."""
        smallest = self.tracker.smallest
        due = not 0 <= frame.timestamp_s - self._full_search_s < FULL_SEARCH_S
        if smallest is None or unsure or due:
            self._full_search_s = frame.timestamp_s
            return None
        return smallest / frame.image.shape[1]

    def spare(self, level: Level) -> None:
        """Do as much work as ``level`` allows."""
        self.level = level
        self.recognizer.step_share = level.step_share

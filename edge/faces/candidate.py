"""A face that is followed or may become a track: where it should be by now, and whether it is the same.

Constant velocity and overlap, as in SORT (Bewley et al., 2016).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from edge.data import Face, Float32, Track
from edge.faces.appearance import is_another
from edge.faces.square import side_of

MAX_SIZE_RATIO = 2.0  # a face's side does not double between two detections
LOOKS = 4  # appearances of a face that are remembered: one may be half covered by somebody who walks past
ALIKE_S = 0.4  # time between two detections up to which a face must look alike
MAX_SHIFT = 0.6  # of the mean side; up to this shift a face matches even if the boxes barely overlap


class Known(NamedTuple):
    """A face that is followed, or was seen and may become a track."""

    box: Float32  # (4,) where it was seen last
    expected: Float32  # (4,) where it should be by now; once missed, the same
    seen_s: float  # seconds
    visible: bool  # in the latest detections that looked for it
    track: bool  # whether it is one
    hits: int  # detections of it
    unsure: bool  # whether a detection now would help

    @property
    def followed(self) -> bool:
        """Whether it is or may become a track; not what was seen once and then missed."""
        return self.visible or self.track

    @property
    def side(self) -> float:
        """In frame pixels."""
        return side_of(self.box)

    @property
    def moved(self) -> float:
        """How far it should have moved since, in sides."""
        return math.dist(self.expected[:2], self.box[:2]) / self.side


@dataclass(slots=True)
class Candidate:
    """The tracker's state for one face; ``track`` is set once it is confirmed."""

    face: Face
    seen_s: float  # seconds, last detection
    hits: int = 1
    visible: bool = True  # in the latest detections
    refused: bool = False  # its latest crop shows no face
    doubted: bool = False  # since its last detection, much of the picture has changed at once
    track: Track | None = None
    velocity: tuple[float, float] = (0.0, 0.0)  # px/s of the center
    looks: deque[Float32] = field(default_factory=lambda: deque(maxlen=LOOKS))  # the last appearances

    def __post_init__(self) -> None:
        self._remember()

    @property
    def unsure(self) -> bool:
        """Whether it has just appeared, or is a track that was just lost."""
        return self.visible == (self.track is None) and not self.refused

    def expected(self, timestamp_s: float) -> list[Sequence[float]]:
        """Predicted boxes: extrapolated and, while the face is not visible, also its last position."""
        x0, y0, x1, y1 = last = numbers(self.face)
        elapsed = timestamp_s - self.seen_s
        across, down = self.velocity[0] * elapsed, self.velocity[1] * elapsed
        moved = (x0 + across, y0 + down, x1 + across, y1 + down)
        return [moved] if self.visible else [moved, last]

    def known(self, timestamp_s: float) -> Known:
        """What others may know of it."""
        expected = np.array(self.expected(timestamp_s)[-1], np.float32)
        track = self.track is not None
        return Known(self.face.box_xyxy, expected, self.seen_s, self.visible, track, self.hits, self.unsure)

    def see(self, face: Face, timestamp_s: float) -> None:
        """Take ``face`` of a detection as where it is now."""
        elapsed = timestamp_s - self.seen_s
        if elapsed > 0:
            (x, y), (last_x, last_y) = center(numbers(face)), center(numbers(self.face))
            across, down = (x - last_x) / elapsed, (y - last_y) / elapsed
            # The first velocity is used as is; later ones are averaged, because boxes jitter.
            if self.hits > 1:
                across, down = (self.velocity[0] + across) / 2, (self.velocity[1] + down) / 2
            self.velocity = across, down
        self.face, self.seen_s, self.visible, self.doubted = face, timestamp_s, True, False
        self.hits += 1
        self._remember()

    def is_another(self, face: Face, timestamp_s: float) -> bool:
        """Whether somebody else is there now; after a longer time, nobody looks as they did."""
        return timestamp_s - self.seen_s <= ALIKE_S and is_another(face, self.looks, self.doubted)

    def _remember(self) -> None:
        if self.face.appearance is not None:
            self.looks.append(self.face.appearance)


# For the few faces of a frame, plain numbers take a fraction of the time of small arrays.
def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1; 0..1."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (across > 0 and down > 0):
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return across * down / (areas - across * down)


def affinity(a: Sequence[float], b: Sequence[float], iou_threshold: float) -> float:
    """How well two boxes agree in position and size; minus infinity if they cannot be the same face."""
    side_a, side_b = a[2] - a[0], b[2] - b[0]
    size = abs(math.log(side_a / side_b))
    shift = math.dist(center(a), center(b)) * 2 / (side_a + side_b)
    shared = overlap(a, b)
    if size > math.log(MAX_SIZE_RATIO) or (shared < iou_threshold and shift > MAX_SHIFT):
        return -math.inf
    return shared - shift - size


def center(box: Sequence[float]) -> tuple[float, float]:
    """Its x, y."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def numbers(face: Face) -> list[float]:
    """Its box as plain numbers x0, y0, x1, y1."""
    return face.box_xyxy.tolist()

"""Tracks: which face of this frame is which face of the last one.

Constant velocity and overlap, as in SORT (Bewley et al., 2016), with greedy matching instead of the
Hungarian method: for the few faces a board sees the two agree.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.data import Face, Float32, Track

DUPLICATE_IOU = 0.5  # two detections that overlap more are one face
MAX_SIZE_RATIO = 2.0  # a face does not double its side between two detections
MAX_SHIFT = 0.6  # of the mean side: a faster face may leave its old box and still be itself


@dataclass(slots=True)
class _Candidate:
    """What the tracker remembers of one face; ``track`` is set once it is confirmed."""

    face: Face
    seen_s: float  # seconds, last detection
    hits: int = 1
    visible: bool = True  # found by the latest detection
    track: Track | None = None
    velocity: Float32 = field(default_factory=lambda: np.zeros(2, np.float32))  # px/s of the center

    def expected(self, timestamp_s: float) -> list[Float32]:
        """Boxes where the face may be: carried on, and, while it is out of sight, where it was."""
        way = np.tile(self.velocity, 2) * (timestamp_s - self.seen_s)
        moved: Float32 = (self.face.box_xyxy + way).astype(np.float32)
        return [moved] if self.visible else [moved, self.face.box_xyxy]

    def see(self, face: Face, timestamp_s: float) -> None:
        elapsed = timestamp_s - self.seen_s
        if elapsed > 0:
            speed = (_center(face.box_xyxy) - _center(self.face.box_xyxy)) / elapsed
            # The first speed is taken whole; later ones are averaged, because a box jitters.
            mixed = speed if self.hits == 1 else (self.velocity + speed) / 2
            self.velocity = mixed.astype(np.float32)
        self.face, self.seen_s, self.visible = face, timestamp_s, True
        self.hits += 1


class Tracker:
    """Gives faces anonymous rising numbers that are never used twice.

    ``iou_threshold``: least overlap of a face with where its track is expected; a face near by and of
    like size may also overlap less. ``lost_s``: seconds after the last detection at which a track
    dies. ``confirm``: detections, each within ``lost_s`` of the last, before a face becomes a track; 2
    keeps the single-frame false alarms of a cascade out. ``starts_at``: least score of the faces that begin a
    track; any may continue one (Zhang et al., ByteTrack, ECCV 2022).
    """

    def __init__(
        self,
        iou_threshold: float = 0.3,
        lost_s: float = 1.0,
        confirm: int = 2,
        starts_at: float = 0.0,
    ) -> None:
        self._starts_at = starts_at
        self._iou_threshold = iou_threshold
        self.lost_s = lost_s
        self._confirm = confirm
        self._ids = itertools.count(1)
        self._candidates: list[_Candidate] = []

    @property
    def unsure(self) -> bool:
        """Whether a look now would tell more: a face was seen for the first time, or a track lost its face.

        What was seen once and not again waits for the next turn: false alarms must not call more looks.
        """
        return any(candidate.visible == (candidate.track is None) for candidate in self._candidates)

    @property
    def smallest(self) -> float | None:
        """Side of the smallest face, in frame pixels; None where there is none."""
        boxes = (candidate.face.box_xyxy for candidate in self._candidates)
        return min((float(box[2] - box[0]) for box in boxes), default=None)

    def update(self, faces: list[Face] | None, timestamp_s: float) -> list[Track]:
        """Take the faces of one frame and give the tracks that are in sight, by rising id.

        ``faces`` None means that the detector did not run on this frame: tracks carry on unchanged.
        Time that jumps, forwards or back, by more than ``lost_s`` ends every track.
        """
        # The margin keeps a detector that runs exactly every lost_s from losing its faces to rounding.
        limit = self.lost_s + 1e-6
        self._candidates = [c for c in self._candidates if abs(timestamp_s - c.seen_s) <= limit]
        if faces is not None:
            self._match(_without_duplicates(faces), timestamp_s)
        tracks = [c.track for c in self._candidates if c.visible and c.track is not None]
        return sorted(tracks, key=lambda track: track.id)

    def _match(self, faces: list[Face], timestamp_s: float) -> None:
        pairs = self._pairs(faces, timestamp_s)
        for candidate in self._candidates:
            candidate.visible = False
        for index, candidate in pairs:
            candidate.see(faces[index], timestamp_s)
        matched = {index for index, _ in pairs}
        new = [face for i, face in enumerate(faces) if i not in matched and face.score >= self._starts_at]
        born = [_Candidate(face, timestamp_s) for face in new]
        self._candidates += born
        for candidate in self._candidates:
            if candidate.visible:
                self._publish(candidate)

    def _pairs(self, faces: Sequence[Face], timestamp_s: float) -> list[tuple[int, _Candidate]]:
        """Best pairs first; each face and each candidate at most once."""
        scored = []
        for c, candidate in enumerate(self._candidates):
            boxes = candidate.expected(timestamp_s)
            for f, face in enumerate(faces):
                if candidate.track is None and face.score < self._starts_at:
                    continue
                affinity = max(_affinity(face.box_xyxy, box, self._iou_threshold) for box in boxes)
                # A confirmed track goes before a newcomer that claims the same face.
                scored.append((affinity, candidate.track is not None, -c, f))
        pairs: dict[int, int] = {}  # candidate -> face
        for affinity, _, c, f in sorted(scored, reverse=True):
            if affinity > -math.inf and -c not in pairs and f not in pairs.values():
                pairs[-c] = f
        return [(f, self._candidates[c]) for c, f in pairs.items()]

    def _publish(self, candidate: _Candidate) -> None:
        if candidate.track is not None:
            candidate.track.face = candidate.face
        elif candidate.hits >= self._confirm:
            candidate.track = Track(next(self._ids), candidate.face)


def iou(a: Float32, b: Float32) -> float:
    """Intersection over union of two boxes ``(4,)`` x0, y0, x1, y1; 0..1."""
    across, down = (float(v) for v in np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    if not (across > 0 and down > 0):
        return 0.0
    areas = sum(float(v[2] - v[0]) * float(v[3] - v[1]) for v in (a, b))
    return across * down / (areas - across * down)


def _affinity(a: Float32, b: Float32, iou_threshold: float) -> float:
    """How well two boxes agree in place and size; minus infinity where they cannot be one face."""
    side_a, side_b = float(a[2] - a[0]), float(b[2] - b[0])
    size = abs(math.log(side_a / side_b))
    shift = float(np.hypot(*(_center(a) - _center(b)))) * 2 / (side_a + side_b)
    overlap = iou(a, b)
    if size > math.log(MAX_SIZE_RATIO) or (overlap < iou_threshold and shift > MAX_SHIFT):
        return -math.inf
    return overlap - shift - size


def _center(box: Float32) -> Float32:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)


def _without_duplicates(faces: Sequence[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        box = face.box_xyxy
        usable = bool(np.isfinite(box).all()) and box[2] > box[0] and box[3] > box[1]
        if usable and all(iou(box, other.box_xyxy) <= DUPLICATE_IOU for other in kept):
            kept.append(face)
    return kept

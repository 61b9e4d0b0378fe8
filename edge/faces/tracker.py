"""Tracking: matches the faces of a frame to those of earlier frames.

Constant velocity and overlap, as in SORT (Bewley et al., 2016), with greedy matching instead of the Hungarian
method. For the few faces that a board sees, both give the same result.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from edge.data import Face, Float32, Track
from edge.faces.appearance import is_another
from edge.faces.square import side_of
from edge.system.pace import Pace

DUPLICATE_IOU = 0.5  # two detections that overlap more are the same face
MAX_SIZE_RATIO = 2.0  # a face's side does not double between two detections
LOOKS = 4  # appearances of a face that are remembered: one may be half covered by somebody who walks past
ALIKE_S = 0.4  # time between two detections up to which a face must look alike
MAX_SHIFT = 0.6  # of the mean side; up to this shift a face matches even if the boxes barely overlap

_LARGEST_PX = 16384  # side of a face that is counted as such


AreFaces = Callable[[Sequence[Face]], Sequence[bool]]


def every_one(faces: Sequence[Face]) -> list[bool]:
    """That all of ``faces`` are faces, where nobody looks at their crops."""
    return [True] * len(faces)


@dataclass(slots=True)
class _Candidate:
    """The tracker's state for one face; ``track`` is set once it is confirmed."""

    face: Face
    seen_s: float  # seconds, last detection
    hits: int = 1
    visible: bool = True  # in the latest detections
    refused: bool = False  # its latest crop shows no face
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
        x0, y0, x1, y1 = last = _numbers(self.face)
        elapsed = timestamp_s - self.seen_s
        across, down = self.velocity[0] * elapsed, self.velocity[1] * elapsed
        moved = (x0 + across, y0 + down, x1 + across, y1 + down)
        return [moved] if self.visible else [moved, last]

    def see(self, face: Face, timestamp_s: float) -> None:
        elapsed = timestamp_s - self.seen_s
        if elapsed > 0:
            (x, y), (last_x, last_y) = _center(_numbers(face)), _center(_numbers(self.face))
            across, down = (x - last_x) / elapsed, (y - last_y) / elapsed
            # The first velocity is used as is; later ones are averaged, because boxes jitter.
            if self.hits > 1:
                across, down = (self.velocity[0] + across) / 2, (self.velocity[1] + down) / 2
            self.velocity = across, down
        self.face, self.seen_s, self.visible = face, timestamp_s, True
        self.hits += 1
        self._remember()

    def is_another(self, face: Face, timestamp_s: float) -> bool:
        """Whether somebody else is there now; after a longer time, nobody looks as they did."""
        return timestamp_s - self.seen_s <= ALIKE_S and is_another(face, self.looks)

    def _remember(self) -> None:
        if self.face.appearance is not None:
            self.looks.append(self.face.appearance)


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


class Tracker:
    """Gives faces anonymous, increasing ids that are never reused.

    ``iou_threshold``: minimum overlap of a face with its track's predicted box; a nearby face of similar size
    may overlap less. ``lost_s``: seconds after its last detection at which a track ends, or more where the
    source gives few frames, see ``Pace``. ``confirm``: detections, each within ``lost_s`` of the one before,
    before a face becomes a track; 2 keeps out the single-frame false positives of a cascade. ``starts_at``:
    minimum score of a face that starts a track; any score may continue one (Zhang et al., ByteTrack, ECCV
    2022).
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
        # Boxes of ``known`` faces whose absence from the next detections counts; None: all of them.
        self.sought: Sequence[Float32] | None = None
        self._sides: Counter[int] = Counter()  # in pixels, of faces of a score that starts a track
        self._confirm = confirm
        self._ids = itertools.count(1)
        self._candidates: list[_Candidate] = []
        self._pace = Pace()

    @property
    def unsure(self) -> bool:
        """Whether a detection now would help: a face has just appeared, or a track has just lost its face.

        A face seen once and then missed does not count, nor does what shows no face, so that false positives
        do not cause more detections.
        """
        return any(c.unsure for c in self._candidates)

    @property
    def follows(self) -> bool:
        """Whether there is any track, or what may become one."""
        return bool(self._candidates)

    @property
    def smallest(self) -> float | None:
        """Side of the smallest face in frame pixels; None if there is no face."""
        return min((side_of(candidate.face.box_xyxy) for candidate in self._candidates), default=None)

    @property
    def visible(self) -> tuple[Float32, ...]:
        """Boxes (4,) of the tracks that the latest detections saw."""
        return tuple(c.face.box_xyxy for c in self._candidates if c.visible and c.track is not None)

    def known(self, timestamp_s: float) -> list[Known]:
        """All faces that are followed or may become a track."""
        return [
            Known(
                c.face.box_xyxy,
                np.array(c.expected(timestamp_s)[-1], np.float32),
                c.seen_s,
                c.visible,
                c.track is not None,
                c.hits,
                c.unsure,
            )
            for c in self._candidates
        ]

    @property
    def seen(self) -> int:
        """Faces of a score that starts a track, in all frames together."""
        return self._sides.total()

    @property
    def side_px(self) -> int | None:
        """Median of their sides in frame pixels; None if there was no face."""
        left = self._sides.total() / 2
        for side, count in sorted(self._sides.items()):
            left -= count
            if left <= 0:
                return side
        return None

    def update(
        self, faces: list[Face] | None, timestamp_s: float, are_faces: AreFaces = every_one
    ) -> list[Track]:
        """Match the faces of one frame and return the visible tracks, by increasing id.

        ``faces`` None means that the detector did not run on this frame: tracks continue unchanged.
        ``are_faces`` is asked of those that have no track yet: each detection that confirms one shows a face.
        A time jump of more than ``lost_s``, forward or backward, ends every track.
        """
        self._pace.see(timestamp_s)
        # The margin absorbs rounding if the detector runs exactly every lost_s.
        limit = self._pace.at_least(self.lost_s) + 1e-6
        self._candidates = [c for c in self._candidates if abs(timestamp_s - c.seen_s) <= limit]
        if faces is not None:
            self._match(_without_duplicates(faces), timestamp_s, are_faces)
        tracks = [c.track for c in self._candidates if c.visible and c.track is not None]
        return sorted(tracks, key=lambda track: track.id)

    def end_all(self) -> None:
        """End every track at once, as after a cut; the next detection begins new ones."""
        self._candidates = []

    def end(self, tracks: Sequence[Track]) -> None:
        """End ``tracks``; whatever stands in their place has to be confirmed anew."""
        ids = {track.id for track in tracks}
        self._candidates = [c for c in self._candidates if c.track is None or c.track.id not in ids]

    def still(self, faces: Sequence[Face], are_faces: AreFaces = every_one) -> list[Track]:
        """A track for each face of a single picture, best first: no other frame can confirm it."""
        distinct = [face for face in _without_duplicates(faces) if face.score >= self._starts_at]
        pairs = zip(distinct, are_faces(distinct), strict=True)
        tracks = [Track(next(self._ids), face) for face, shown in pairs if shown]
        self._count(track.face for track in tracks)
        return tracks

    def _match(self, faces: list[Face], timestamp_s: float, are_faces: AreFaces) -> None:
        pairs = self._pairs(faces, timestamp_s)
        for candidate in self._candidates:
            if self.sought is None or any(box is candidate.face.box_xyxy for box in self.sought):
                candidate.visible = False
        for index, candidate in pairs:
            candidate.see(faces[index], timestamp_s)
        matched = {index for index, _ in pairs}
        new = [face for i, face in enumerate(faces) if i not in matched and face.score >= self._starts_at]
        self._candidates += [_Candidate(face, timestamp_s) for face in new]
        self._count(face for face in faces if face.score >= self._starts_at)
        _ask([c for c in self._candidates if c.seen_s == timestamp_s and c.track is None], are_faces)
        for candidate in self._candidates:
            if candidate.visible:
                self._publish(candidate)

    def _count(self, faces: Iterable[Face]) -> None:
        for face in faces:
            self._sides[min(round(side_of(face.box_xyxy)), _LARGEST_PX)] += 1

    def _pairs(self, faces: Sequence[Face], timestamp_s: float) -> list[tuple[int, _Candidate]]:
        """Best pairs first; each face and each candidate at most once."""
        scored = []
        for c, candidate in enumerate(self._candidates):
            boxes = candidate.expected(timestamp_s)
            for f, face in enumerate(faces):
                if candidate.track is None and face.score < self._starts_at:
                    continue
                if candidate.is_another(face, timestamp_s):
                    continue
                own = _numbers(face)
                affinity = max(_affinity(own, box, self._iou_threshold) for box in boxes)
                # At equal affinity, a confirmed track takes precedence over a candidate.
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


def _ask(candidates: Sequence[_Candidate], are_faces: AreFaces) -> None:
    """What shows no face is kept, so that it costs no further detections, but starts over."""
    if not candidates:
        return
    for candidate, shown in zip(candidates, are_faces([c.face for c in candidates]), strict=True):
        candidate.refused = not shown
        candidate.hits *= shown


def iou(a: Float32, b: Float32) -> float:
    """Intersection over union of two boxes ``(4,)`` x0, y0, x1, y1; 0..1."""
    return _overlap(a.tolist(), b.tolist())


# For the few faces of a frame, plain numbers take a fraction of the time of small arrays.
def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (across > 0 and down > 0):
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return across * down / (areas - across * down)


def _affinity(a: Sequence[float], b: Sequence[float], iou_threshold: float) -> float:
    """How well two boxes agree in position and size; minus infinity if they cannot be the same face."""
    side_a, side_b = a[2] - a[0], b[2] - b[0]
    size = abs(math.log(side_a / side_b))
    shift = math.dist(_center(a), _center(b)) * 2 / (side_a + side_b)
    overlap = _overlap(a, b)
    if size > math.log(MAX_SIZE_RATIO) or (overlap < iou_threshold and shift > MAX_SHIFT):
        return -math.inf
    return overlap - shift - size


def _center(box: Sequence[float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _numbers(face: Face) -> list[float]:
    return face.box_xyxy.tolist()


def _without_duplicates(faces: Sequence[Face]) -> list[Face]:
    distinct: list[Face] = []
    boxes: list[list[float]] = []
    for face in sorted(faces, key=lambda face: -face.score):
        box = _numbers(face)
        usable = all(map(math.isfinite, box)) and box[2] > box[0] and box[3] > box[1]
        if usable and all(_overlap(box, other) <= DUPLICATE_IOU for other in boxes):
            distinct.append(face)
            boxes.append(box)
    return distinct

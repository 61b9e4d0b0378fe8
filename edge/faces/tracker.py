"""Tracking: matches the faces of a frame to those of earlier frames.

Greedily, best pairs first, instead of by the Hungarian method of SORT (Bewley et al., 2016). For the few
faces that a board sees, both give the same result.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from edge.data import Face, Float32, Track
from edge.faces.candidate import Candidate, Known, affinity, numbers, overlap
from edge.faces.square import side_of
from edge.system.pace import Pace

DUPLICATE_IOU = 0.5  # two detections that overlap more are the same face
_LARGEST_PX = 16384  # side of a face that is counted as such

AreFaces = Callable[[Sequence[Face]], Sequence[bool]]


def every_one(faces: Sequence[Face]) -> list[bool]:
    """That all of ``faces`` are faces, where nobody looks at their crops."""
    return [True] * len(faces)


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
        self._candidates: list[Candidate] = []
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

    def known(self, timestamp_s: float) -> list[Known]:
        """All faces that are followed or may become a track."""
        return [candidate.known(timestamp_s) for candidate in self._candidates]

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

    def doubt(self) -> None:
        """Let each face look more like itself than usual at the next detection of it."""
        for candidate in self._candidates:
            candidate.doubted = True

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
        self._candidates += [Candidate(face, timestamp_s) for face in new]
        self._count(face for face in faces if face.score >= self._starts_at)
        _ask([c for c in self._candidates if c.seen_s == timestamp_s and c.track is None], are_faces)
        for candidate in self._candidates:
            if candidate.visible:
                self._publish(candidate)

    def _count(self, faces: Iterable[Face]) -> None:
        for face in faces:
            self._sides[min(round(side_of(face.box_xyxy)), _LARGEST_PX)] += 1

    def _pairs(self, faces: Sequence[Face], timestamp_s: float) -> list[tuple[int, Candidate]]:
        """Best pairs first; each face and each candidate at most once."""
        scored = []
        for c, candidate in enumerate(self._candidates):
            boxes = candidate.expected(timestamp_s)
            for f, face in enumerate(faces):
                if candidate.track is None and face.score < self._starts_at:
                    continue
                if candidate.is_another(face, timestamp_s):
                    continue
                own = numbers(face)
                closeness = max(affinity(own, box, self._iou_threshold) for box in boxes)
                # At equal closeness, a confirmed track takes precedence over a candidate.
                scored.append((closeness, candidate.track is not None, -c, f))
        pairs: dict[int, int] = {}  # candidate -> face
        for closeness, _, c, f in sorted(scored, reverse=True):
            if closeness > -math.inf and -c not in pairs and f not in pairs.values():
                pairs[-c] = f
        return [(f, self._candidates[c]) for c, f in pairs.items()]

    def _publish(self, candidate: Candidate) -> None:
        if candidate.track is not None:
            candidate.track.face = candidate.face
        elif candidate.hits >= self._confirm:
            candidate.track = Track(next(self._ids), candidate.face)


def _ask(candidates: Sequence[Candidate], are_faces: AreFaces) -> None:
    """What shows no face is kept, so that it costs no further detections, but starts over."""
    if not candidates:
        return
    for candidate, shown in zip(candidates, are_faces([c.face for c in candidates]), strict=True):
        candidate.refused = not shown
        candidate.hits *= shown


def iou(a: Float32, b: Float32) -> float:
    """Intersection over union of two boxes ``(4,)`` x0, y0, x1, y1; 0..1."""
    return overlap(a.tolist(), b.tolist())


def _without_duplicates(faces: Sequence[Face]) -> list[Face]:
    distinct: list[Face] = []
    boxes: list[list[float]] = []
    for face in sorted(faces, key=lambda face: -face.score):
        box = numbers(face)
        usable = all(map(math.isfinite, box)) and box[2] > box[0] and box[3] > box[1]
        if usable and all(overlap(box, other) <= DUPLICATE_IOU for other in boxes):
            distinct.append(face)
            boxes.append(box)
    return distinct

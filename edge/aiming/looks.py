"""Finds what there is to aim at: faces as a run would find them, and which way up the camera is."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from edge.capture.orientation import chosen
from edge.data import Face, Frame
from edge.faces.near import is_near
from edge.faces.wide import WideLooks
from edge.protocols import FaceDetector

_HELD_S = 3.0  # how long a small face stays that was found in one part of the frame
WAIT_S = 2.0  # without a clear face, until turned frames are tried
# A face that is upside down scores 0.73 to 0.85 on YuNet, upright 0.93 (a man, 130 pixels); Haar misses it.
_CLEAR, _SURE, _BETTER = 0.88, 0.8, 0.08
_TIMES = 3  # that an angle has to be better
_ANGLES = (180, 90, 270)


class Looks:
    """Looks at the whole of each frame, and at one part of a wide frame in turn, for small faces."""

    def __init__(self, detector: FaceDetector, wide: WideLooks | None) -> None:
        self._detector, self._wide = detector, wide
        self._at = 0
        self._held: list[tuple[float, Face]] = []

    def faces(self, frame: Frame) -> list[Face]:
        """Faces of this frame, and small ones of the last three seconds."""
        found = self._detector.detect(frame)
        searches = self._wide.of_still(frame, [face.box_xyxy for face in found]) if self._wide else []
        if not searches:
            return found
        self._at = (self._at + 1) % len(searches)
        now = frame.timestamp_s
        fresh = [(now, face) for face in self._detector.detect(frame, searches[self._at])]
        old = [(seen_s, face) for seen_s, face in self._held if 0 <= now - seen_s < _HELD_S]
        self._held = [*fresh, *(pair for pair in old if not _among(pair[1], [face for _, face in fresh]))]
        return [*found, *(face for _, face in self._held if not _among(face, found))]


class Turns:
    """Guesses how a camera hangs from faces that are clear in turned frames only."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._unclear_s = inf  # since when
        self._at = 0
        self._times = dict.fromkeys(_ANGLES, 0)

    def guess(self, frame: Frame, found: Sequence[Face]) -> int:
        """Degrees clockwise that make the frame upright; 0 if it is, or if nothing tells.

        ``found`` are its faces as it is. One turned frame is tried at each call, once no face was clear for
        two seconds. So a call takes one more detection at most.
        """
        best = max((face.score for face in found), default=0.0)
        if best >= _CLEAR:
            self._unclear_s, self._times = inf, dict.fromkeys(_ANGLES, 0)
            return 0
        self._unclear_s = min(self._unclear_s, frame.timestamp_s)
        if frame.timestamp_s - self._unclear_s < WAIT_S:
            return 0
        angle, self._at = _ANGLES[self._at], (self._at + 1) % len(_ANGLES)
        faces = self._detector.detect(chosen(angle, False).turn_frame(frame))
        score = max((face.score for face in faces), default=0.0)
        step = 1 if score >= max(best + _BETTER, _SURE) else -1
        self._times[angle] = min(max(self._times[angle] + step, 0), 2 * _TIMES)
        likely = max(_ANGLES, key=lambda angle: self._times[angle])
        return likely if self._times[likely] >= _TIMES else 0


def _among(face: Face, others: Sequence[Face]) -> bool:
    return any(is_near(face, other.box_xyxy) for other in others)

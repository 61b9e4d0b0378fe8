"""A recognizer without a network, for tests of what happens before it."""

from __future__ import annotations

from collections.abc import Sequence

from edge.data import EmotionEstimate, Face, Frame, Track


class NoNetwork:
    """Takes every crop for a face, and answers nothing."""

    step_share = 1.0

    def update(self, frame: Frame, tracks: Sequence[Track]) -> list[EmotionEstimate]:
        return []

    def is_empty(self, frame: Frame) -> bool:
        return False

    def are_faces(self, frame: Frame, faces: Sequence[Face]) -> list[bool]:
        return [True] * len(faces)

    def gone(self, tracks: Sequence[Track]) -> list[Track]:
        return []

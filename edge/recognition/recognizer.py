"""One recurrent step per due face: states are gathered from the tracks and scattered back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, inf
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.data import EmotionEstimate, Face, Float32, Frame, Track
from edge.faces.crop import face_batch
from edge.protocols import Engine
from edge.recognition.decision import Decision

_MARGIN = 0.95  # of reset_after_s, for a camera whose frames do not come on the dot


def is_due(last_step_s: float | None, now_s: float, step_hz: float) -> bool:
    """At most one step per tick of ``step_hz``; ticks keep the mean rate at any frame rate."""
    if last_step_s is None:
        return True
    # A thousandth of a tick forgives container times that are rounded to milliseconds or less.
    return floor(now_s * step_hz + 1e-3) > floor(last_step_s * step_hz + 1e-3)


class Turns:
    """Which faces a step takes where there are too many: the largest, and in the last place one of the rest.

    The place goes to the one that has waited longest. Where all of the rest have their turn before their
    states are reset, a turn is one step, and they become and stay warm. Where there are more, it lasts until
    the face is warm: single steps, each from an empty state, would make none of them warm.
    """

    def __init__(self, most: int, warm_steps: int, reset_after_s: float) -> None:
        self._most, self._warm_steps, self._reset_after_s = most, warm_steps, reset_after_s
        self._arrived_s: dict[int, float] = {}  # track -> since when it waits for its first step
        self._begun: dict[int, Track] = {}  # turns that last; one for each frame between two steps of a face

    def choose(self, due: list[Track], now_s: float, period_s: float) -> list[Track]:
        """At most ``most`` of ``due``; ``period_s`` is the time from one step of a face to its next."""
        arrived_s, self._arrived_s = self._arrived_s, {}
        if len(due) <= self._most:
            return due
        self._arrived_s = {t.id: arrived_s.get(t.id, now_s) for t in due if t.last_step_s is None}
        by_size = sorted(due, key=lambda track: track.face.box_xyxy[0] - track.face.box_xyxy[2])
        largest, rest = by_size[: self._most - 1], by_size[self._most - 1 :]
        lasting = len(rest) * period_s > _MARGIN * self._reset_after_s
        return [*largest, self._turn(rest, now_s, lasting)]

    def _turn(self, rest: Sequence[Track], now_s: float, lasting: bool) -> Track:
        self._begun = {i: track for i, track in self._begun.items() if self._is_warming(track, now_s)}
        if lasting and (begun := [track for track in rest if track.id in self._begun]):
            return max(begun, key=lambda track: track.steps)
        longest = min(rest, key=self._since)
        self._begun[longest.id] = longest
        return longest

    def _is_warming(self, track: Track, now_s: float) -> bool:
        last_s = -inf if track.last_step_s is None else track.last_step_s
        return track.steps < self._warm_steps and now_s - last_s <= self._reset_after_s

    def _since(self, track: Track) -> tuple[float, bool, int]:
        # A newcomer waits behind those who were there before, or a stream of newcomers would starve them.
        if track.last_step_s is None:
            return self._arrived_s[track.id], False, track.id
        return track.last_step_s, True, track.id


class Recognizer:
    """Runs the step graph of ``bundle`` on ``engine``, all due faces in one batch.

    At most ``most_faces`` a frame, see ``Turns``.
    """

    def __init__(self, engine: Engine, bundle: Bundle, decision: Decision, most_faces: int = 64) -> None:
        self.step_share = 1.0  # of the bundle's step_hz, where the machine is to be spared
        self.engine = engine
        self._manifest = bundle.manifest
        self._turns = Turns(most_faces, self._manifest.warm_steps, self._manifest.reset_after_s)
        self._last_s = -inf  # the frame before
        self._state = bundle.state
        self._decision = decision

    def update(self, frame: Frame, tracks: Sequence[Track]) -> list[EmotionEstimate]:
        """Estimates of all tracks: fresh where the network ran on this frame, else the last one."""
        step_hz = self.step_share * self._manifest.step_hz
        due = [track for track in tracks if is_due(track.last_step_s, frame.timestamp_s, step_hz)]
        # A camera that is slower than the step sets the pace.
        period_s, self._last_s = max(1 / step_hz, frame.timestamp_s - self._last_s), frame.timestamp_s
        if due:
            self._step(frame, self._turns.choose(due, frame.timestamp_s, period_s))
        return [_current(track, frame) for track in tracks if track.estimate is not None]

    def _step(self, frame: Frame, due: list[Track]) -> None:
        for track in due:
            if track.last_step_s is None or self._gap(track, frame) > self._manifest.reset_after_s:
                track.state = tuple(np.zeros(tensor.shape, np.float32) for tensor in self._state)
                track.steps = 0
        feeds: dict[str, Any] = {"face": self.crop(frame, [track.face for track in due])}
        for index, tensor in enumerate(self._state):
            feeds[tensor.input] = [track.state[index] for track in due]
        self.decide(frame, due, self.engine.run(feeds))

    def crop(self, frame: Frame, faces: Sequence[Face]) -> Float32:
        """The network's input ``(N,C,S,S)``."""
        return face_batch(frame, faces, self._manifest.input)

    def decide(self, frame: Frame, due: Sequence[Track], outputs: Mapping[str, Any]) -> None:
        """Give each track its row of the new states and of the answer."""
        probabilities = self._decision.probabilities(outputs["logits"])
        for row, track in enumerate(due):
            track.state = tuple(outputs[tensor.output][row] for tensor in self._state)
            track.steps += 1
            track.last_step_s = frame.timestamp_s
            track.estimate = self._estimate(frame, track, probabilities[row])

    def _gap(self, track: Track, frame: Frame) -> float:
        return frame.timestamp_s - (track.last_step_s or 0.0)

    def _estimate(self, frame: Frame, track: Track, probabilities: Float32) -> EmotionEstimate:
        box = track.face.box_xyxy
        return EmotionEstimate(
            track_id=track.id,
            timestamp_s=frame.timestamp_s,
            box_xyxy=box,
            probabilities=probabilities,
            label=self._decision.label(probabilities, float(box[2] - box[0])),
            warm=track.steps >= self._manifest.warm_steps,
            fresh=True,
        )


def _current(track: Track, frame: Frame) -> EmotionEstimate:
    """The track's last estimate; where it is older than the frame, with today's box and fresh=False."""
    assert track.estimate is not None
    if track.last_step_s == frame.timestamp_s:
        return track.estimate
    return replace(track.estimate, timestamp_s=frame.timestamp_s, box_xyxy=track.face.box_xyxy, fresh=False)

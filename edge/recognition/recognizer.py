"""Runs one recurrent step for each due face; gathers states from the tracks and scatters them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.data import EmotionEstimate, Face, Float32, Frame, Track
from edge.errors import EdgeError
from edge.faces.crop import face_batch
from edge.protocols import Engine
from edge.recognition.decision import Decision
from edge.recognition.gray_source import GrayNotice
from edge.recognition.scheduling import Turns, is_due
from edge.system.pace import Pace

STILL_STEPS = 8  # identical steps from the zero state, after which the estimate for a still has settled


class Recognizer:
    """Runs the step graph of ``bundle`` on ``engine``, all due faces in one batch.

    At most ``most_faces`` per frame, see ``Turns``.
    """

    def __init__(self, engine: Engine, bundle: Bundle, decision: Decision, most_faces: int = 64) -> None:
        self.step_share = 1.0  # of the bundle's step_hz
        self.engine = engine
        self._manifest = bundle.manifest
        self._pace = Pace()
        manifest = self._manifest
        self._turns = Turns(most_faces, manifest.warm_steps, manifest.reset_after_s, self._pace)
        self._state, self._labels = bundle.state, bundle.labels
        self._decision = decision
        self._notice = GrayNotice(manifest.name) if manifest.input.in_color else None

    def update(self, frame: Frame, tracks: Sequence[Track]) -> list[EmotionEstimate]:
        """Estimates for all tracks: fresh if the network ran on this frame, else the last one."""
        self._see(frame)
        self._pace.see(frame.timestamp_s)
        step_hz = self.step_share * self._manifest.step_hz
        due = [track for track in tracks if is_due(track.last_step_s, frame.timestamp_s, step_hz)]
        if due:
            # If the camera is slower than step_hz, it sets the pace.
            period_s = max(1 / step_hz, self._pace.period_s)
            self.step(frame, self._turns.choose(due, frame.timestamp_s, period_s))
        return [_current(track, frame) for track in tracks if track.estimate is not None]

    def still(self, frame: Frame, tracks: list[Track]) -> list[EmotionEstimate]:
        """The estimates for the new ``tracks`` of a single picture, after eight identical steps."""
        self._see(frame)
        for _ in range(STILL_STEPS if tracks else 0):
            for track in tracks:
                track.held = None  # the last step counts alone: the others only fill the state
            self.step(frame, tracks)
        return [_timeless(track.estimate) for track in tracks if track.estimate]

    def step(self, frame: Frame, due: list[Track]) -> None:
        """Run one network step for each track in ``due``, in one batch."""
        for track in due:
            if track.last_step_s is None or self._gap(track, frame) > self._turns.reset_after_s:
                track.state = tuple(np.zeros(tensor.shape, np.float32) for tensor in self._state)
                track.steps, track.held = 0, None
        feeds: dict[str, Any] = {"face": self.crop(frame, [track.face for track in due])}
        for index, tensor in enumerate(self._state):
            feeds[tensor.input] = [track.state[index] for track in due]
        self.decide(frame, due, self.engine.run(feeds))

    def crop(self, frame: Frame, faces: Sequence[Face]) -> Float32:
        """The network's input ``(N,C,S,S)``."""
        return face_batch(frame, faces, self._manifest.input)

    def decide(self, frame: Frame, due: Sequence[Track], outputs: Mapping[str, Any]) -> None:
        """Give each track its row of the new states and its new estimate.

        EdgeError if the network gave no finite number for each face and label.
        """
        logits = outputs["logits"]
        # The trial of a network has shown only some faces to it.
        if logits.shape != (len(due), len(self._labels)) or not np.isfinite(logits).all():
            raise EdgeError(
                f"the network of {self._manifest.name} gave NaN, infinity or too few numbers for a face; "
                "use another bundle"
            )
        numbers = self._decision.probabilities(logits)
        for row, track in enumerate(due):
            track.state = tuple(outputs[tensor.output][row] for tensor in self._state)
            track.steps += 1
            track.last_step_s = frame.timestamp_s
            track.estimate = self._estimate(frame, track, numbers[row])

    def _see(self, frame: Frame) -> None:
        if self._notice is not None:
            self._notice.look(frame)

    def _gap(self, track: Track, frame: Frame) -> float:
        return frame.timestamp_s - (track.last_step_s or 0.0)

    def _estimate(self, frame: Frame, track: Track, numbers: Float32) -> EmotionEstimate:
        box, now_s = track.face.box_xyxy, frame.timestamp_s
        track.held = held = self._decision.shown(track.held, numbers, float(box[2] - box[0]), now_s)
        return EmotionEstimate(
            track_id=track.id,
            timestamp_s=now_s,
            box_xyxy=box,
            answer=held.answer,
            warm=track.steps >= self._manifest.warm_steps,
            fresh=True,
            label_since_s=held.since_s,
            uncertain_since_s=held.uncertain_since_s,
        )


def _timeless(estimate: EmotionEstimate) -> EmotionEstimate:
    """The estimate for a picture, in which nothing has lasted."""
    return replace(estimate, still=True, warm=True, label_since_s=None, uncertain_since_s=None)


def _current(track: Track, frame: Frame) -> EmotionEstimate:
    """The track's last estimate; if it is older than the frame, with the current box and fresh=False."""
    assert track.estimate is not None
    if track.last_step_s == frame.timestamp_s:
        return track.estimate
    return replace(track.estimate, timestamp_s=frame.timestamp_s, box_xyxy=track.face.box_xyxy, fresh=False)

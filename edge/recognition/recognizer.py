"""Runs one recurrent step for each due face; gathers states from the tracks and scatters them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.capture.reconnect.frame_checks import is_empty
from edge.data import EmotionEstimate, Face, Float32, Frame, Track
from edge.errors import EdgeError
from edge.faces.crop import crop_faces
from edge.faces.square import side_of
from edge.preprocess import UInt8, normalize
from edge.protocols import Engine
from edge.recognition.decision import Decision
from edge.recognition.face_check import NO_CHECK, FaceCheck, uncertain
from edge.recognition.gray_source import GrayNotice
from edge.recognition.scheduling import Turns, is_due
from edge.system.pace import Pace

STILL_STEPS = 8  # identical steps from the zero state, after which the estimate for a still has settled


class Recognizer:
    """Runs the step graph of ``bundle`` on ``engine``, all due faces in one batch.

    At most ``most_faces`` per frame, see ``Turns``. A crop that shows no face by ``check`` is not answered,
    and its track should end after ``face_gone_s`` seconds of such crops, see ``gone``.
    """

    def __init__(
        self,
        engine: Engine,
        bundle: Bundle,
        decision: Decision,
        most_faces: int = 64,
        check: FaceCheck = NO_CHECK,
        face_gone_s: float = 0.4,
    ) -> None:
        self.step_share = 1.0  # of the bundle's step_hz
        self.engine = engine
        self._manifest = bundle.manifest
        self._pace = Pace()
        manifest = self._manifest
        self._turns = Turns(most_faces, manifest.warm_steps, manifest.reset_after_s, self._pace)
        self._state, self._labels = bundle.state, bundle.labels
        self._decision, self._check, self._face_gone_s = decision, check, face_gone_s
        self._most = most_faces
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
        crops, inputs = self.crop(frame, [track.face for track in due])
        readable = self._check.readable(crops)
        if not all(readable):
            self.hide(frame, [track for track, kept in zip(due, readable, strict=True) if not kept])
            due = [track for track, kept in zip(due, readable, strict=True) if kept]
            if not due:
                return
            inputs = inputs[readable]
        feeds: dict[str, Any] = {"face": inputs}
        for index, tensor in enumerate(self._state):
            feeds[tensor.input] = [track.state[index] for track in due]
        self.decide(frame, due, self.engine.run(feeds))

    def crop(self, frame: Frame, faces: Sequence[Face]) -> tuple[UInt8, Float32]:
        """The crops as the camera gives them, uint8, and as the network takes them, ``(N,C,S,S)``."""
        crops = crop_faces(frame, faces, self._manifest.input)
        return crops, normalize(crops, self._manifest.input)

    def are_faces(self, frame: Frame, faces: Sequence[Face]) -> list[bool]:
        """Whether each crop shows a face; asked before there is a track, so without a state."""
        if not self._check.on:
            return [True] * len(faces)
        crops, inputs = self.crop(frame, faces)
        shown = self._check.readable(crops)
        if not self._check.output:
            return shown
        rows = [row for row, kept in enumerate(shown) if kept]
        for at in range(0, len(rows), self._most):
            part = rows[at : at + self._most]
            feeds: dict[str, Any] = {"face": inputs[part]}
            for tensor in self._state:
                feeds[tensor.input] = np.zeros((len(part), *tensor.shape), np.float32)
            found = self._check.faces(self.engine.run(feeds), [True] * len(part))
            for row, face in zip(part, found, strict=True):
                shown[row] = face
        return shown

    def gone(self, tracks: Sequence[Track]) -> list[Track]:
        """Those of ``tracks`` whose crops have shown no face, whenever asked, for longer than a blink."""
        since = [(track, track.no_face_since_s, track.last_step_s) for track in tracks]
        return [
            track
            for track, no_s, asked_s in since
            if no_s is not None and asked_s is not None and asked_s - no_s > self._face_gone_s
        ]

    def is_empty(self, frame: Frame) -> bool:
        """Whether the frame is black or blank; cameras' own checks leave such frames out before."""
        return self._check.on and is_empty(frame.image)

    def hide(self, frame: Frame, tracks: Sequence[Track]) -> list[EmotionEstimate]:
        """The estimates for ``tracks`` whose crops show no face, "uncertain"; their states wait."""
        for track in tracks:
            track.last_step_s = frame.timestamp_s
            if track.no_face_since_s is None:
                track.no_face_since_s = frame.timestamp_s
            if track.estimate is not None:
                track.estimate = replace(
                    _moved(track, track.estimate, frame),
                    answer=uncertain(track.estimate.answer),
                    label_since_s=track.no_face_since_s,
                )
        return [track.estimate for track in tracks if track.estimate is not None]

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
        shown = self._check.faces(outputs, [track.no_face_since_s is not None for track in due])
        for row, track in enumerate(due):
            if not shown[row]:
                self.hide(frame, [track])
                continue
            if track.no_face_since_s is not None and track.held is not None:
                track.held.since_s = frame.timestamp_s  # it is shown again
            track.no_face_since_s = None
            track.state = tuple(outputs[tensor.output][row] for tensor in self._state)
            track.steps += 1
            track.last_step_s = frame.timestamp_s
            track.estimate = self._estimate(frame, track, numbers[row])

    def _see(self, frame: Frame) -> None:
        if self._notice is not None:
            self._notice.look(frame)

    def _gap(self, track: Track, frame: Frame) -> float:
        last_s = track.last_step_s if track.no_face_since_s is None else track.no_face_since_s
        return frame.timestamp_s - (last_s or 0.0)

    def _estimate(self, frame: Frame, track: Track, numbers: Float32) -> EmotionEstimate:
        box, now_s = track.face.box_xyxy, frame.timestamp_s
        track.held = held = self._decision.shown(track.held, numbers, side_of(box), now_s)
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
    return _moved(track, track.estimate, frame)


def _moved(track: Track, estimate: EmotionEstimate, frame: Frame) -> EmotionEstimate:
    """An older estimate at the time and the place of a frame that the network did not run on."""
    return replace(estimate, timestamp_s=frame.timestamp_s, box_xyxy=track.face.box_xyxy, fresh=False)

"""The pipeline: camera -> faces -> tracks -> one recurrent step per face -> outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from edge.data import EmotionEstimate, Face, Frame, Search
from edge.faces.appearance import with_appearance
from edge.faces.tracker import Tracker
from edge.faces.wide import WideLooks
from edge.health.load_governor import LEVELS, Level
from edge.protocols import FaceDetector, PictureSink
from edge.recognition.cuts import CutFinder, Verdict
from edge.recognition.recognizer import Recognizer

Detect = Callable[[bool], "list[Face] | None"]  # told whether to look at once; None: it was not due


def follow(
    frame: Frame, verdict: Verdict, detect: Detect, tracker: Tracker, recognizer: Recognizer
) -> list[EmotionEstimate]:
    """The estimates for a frame of which a ``CutFinder`` says ``verdict``.

    ``detect`` gives its faces, or None: the tracks go on without a detection. Only what shows a face becomes
    a track, and a track that shows none for longer than a blink ends. Every track ends at a cut; in doubt,
    those end whose faces look like others.
    """
    if verdict == "unsure":  # a flash, or somebody else: the next frames will show
        return []
    if verdict == "cut":
        tracker.end_all()
    elif verdict == "doubt":
        tracker.doubt()
    empty = tracker.follows and recognizer.is_empty(frame)
    faces = None if empty else detect(verdict != "same")
    if faces is not None:
        faces = with_appearance(frame, faces)
    tracks = tracker.update(faces, frame.timestamp_s, partial(recognizer.are_faces, frame))
    estimates = recognizer.hide(frame, tracks) if empty else recognizer.update(frame, tracks)
    if gone := recognizer.gone(tracks):
        tracker.end(gone)
        ids = {track.id for track in gone}
        estimates = [estimate for estimate in estimates if estimate.track_id not in ids]
    return estimates


FULL_SEARCH_S = 0.7  # interval of searches for faces of any size while only large ones are tracked
WHOLE_EVERY = 7  # looks; the others are only around the faces that are tracked


@dataclass
class Pipeline:
    """The parts, in the order in which a frame passes through them."""

    detector: FaceDetector
    tracker: Tracker
    recognizer: Recognizer
    sinks: Sequence[PictureSink] = ()
    detect_every: int = 1  # frames; tracks continue unchanged in between
    wide: WideLooks | None = None  # where small faces are looked for in parts of the frame
    level: Level = LEVELS[0]  # how much work to do
    cuts: CutFinder = field(default_factory=CutFinder)
    steps: int = 0
    detections: int = 0
    _next_step: int = 0  # step at which the detector runs again
    _last_s: float = -inf  # time of the last detection
    _full_search_s: float = -inf  # time of the last search for faces of any size
    _since_whole: int = 0  # looks since the last one at the whole frame

    def step(self, frame: Frame) -> list[EmotionEstimate]:
        """Pass one frame through all parts and return the estimates for its visible tracks."""
        estimates = self._still(frame) if frame.still else self._moving(frame)
        for sink in self.sinks:
            sink.write(frame, estimates)
        self.steps += 1
        return estimates

    def _moving(self, frame: Frame) -> list[EmotionEstimate]:
        verdict = self.cuts.look(frame)
        return follow(frame, verdict, partial(self._detect, frame), self.tracker, self.recognizer)

    def _still(self, frame: Frame) -> list[EmotionEstimate]:
        self.detections += 1
        faces = self.detector.detect(frame)
        searches = self.wide.of_still(frame, [face.box_xyxy for face in faces]) if self.wide else []
        faces = [*faces, *(face for search in searches for face in self.detector.detect(frame, search))]
        are_faces = partial(self.recognizer.are_faces, frame)
        return self.recognizer.still(frame, self.tracker.still(faces, are_faces))

    def _detect(self, frame: Frame, anew: bool) -> list[Face] | None:
        """Faces if the detector runs: it is due, a face appeared or got lost, or tracks would expire.

        ``anew``: the picture was or may have been replaced, so that a look at all of it is due at once.
        """
        if anew:
            self._next_step, self._since_whole, self._full_search_s = self.steps, WHOLE_EVERY, -inf
            if self.wide:
                self.wide.start_anew()
        now = frame.timestamp_s
        unsure = self.tracker.unsure
        # On slow cameras no track may expire just because the detector did not run. "not" covers clock jumps.
        overdue = not 0 <= 2 * (now - self._last_s) < self.tracker.lost_s
        due = overdue or self.steps >= self._next_step
        if not (due or (unsure and self.level.detect_every == 1)):
            return None
        fine = self.wide and self.wide.search(frame, self.tracker, ahead=self.level.parts, again=not due)
        if due or not fine:
            self._next_step = self.steps + self.detect_every * self.level.detect_every
        self._last_s = now
        self.detections += 1
        if fine:
            return self.detector.detect(frame, replace(fine, width_share=self.level.width_share))
        return self.detector.detect(frame, self._search(frame, unsure))

    def _search(self, frame: Frame, unsure: bool) -> Search:
        """What this look is for. A face that a look at the whole frame does not find is no longer shown.

        So a look around a box cannot hold on to what is no face, and a new face waits 0.7 s at most.
        """
        smallest = self._smallest(frame, unsure)
        self._since_whole += 1
        if smallest is None or self._since_whole >= WHOLE_EVERY:
            self._since_whole = 0
            return Search(smallest, self.level.width_share)
        known = self.tracker.known(frame.timestamp_s)
        visible = (one.box for one in known if one.visible and one.track)
        return Search(smallest, self.level.width_share, tuple(visible))

    def _smallest(self, frame: Frame, unsure: bool) -> float | None:
        """Side of the smallest face to detect as a share of the frame width; None for faces of any size."""
        smallest = self.tracker.smallest
        due = not 0 <= frame.timestamp_s - self._full_search_s < FULL_SEARCH_S
        if smallest is None or unsure or due:
            self._full_search_s = frame.timestamp_s
            return None
        return smallest / frame.image.shape[1]

    def spare(self, level: Level) -> None:
        """Reduce the work to what ``level`` allows."""
        self.level = level
        self.recognizer.step_share = level.step_share

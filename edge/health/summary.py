"""What a run did: one line for people, or one JSON object for programs."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass

from edge.health.metrics import Health

log = logging.getLogger("edge")
SCHEMA = "emotion-edge-summary/1"
_SINGLE = (
    "no face was tracked: %d were found, but none %d times on end; try tracker.confirm=1 "
    "if each picture counts"
)
_TRY = (
    "no face was found; try source.rotate if the picture does not stand upright, a larger "
    "detector.input_width for small faces, or a lower detector.score_threshold"
)
_SMALL = (
    "faces of %d pixels were seen; %g are needed for a label (decision.min_face_px): "
    "bring the camera closer, or take a source with more pixels"
)


@dataclass(frozen=True)
class Summary:
    """Counts of one run; times in seconds."""

    frames: int
    dropped: int  # in favor of newer ones; a camera only
    run_s: float  # duration of the run
    source_s: float  # from the first frame's time to the last one's
    faces: int  # tracks that got an estimate
    estimates: int  # network steps
    uncertain: float  # share of the estimates, 0..1
    serves: str  # precision and library
    seen: int  # faces found, in all frames together
    face_px: int | None = None  # median of the sides of their face squares in the frame

    @classmethod
    def of(
        cls, health: Health, dropped: int, run_s: float, serves: str, seen: int, face_px: int | None
    ) -> Summary:
        """The summary of the run that ``health`` has counted."""
        counts = health.counts
        share = counts["uncertain"] / max(counts["estimates"], 1)
        return cls(
            counts["frames"], dropped, round(run_s, 2), round(health.source_s, 3), counts["faces"],
            counts["estimates"], round(share, 4), serves, seen, face_px,
        )  # fmt: skip

    def report(self, form: str, confirm: int, advise: bool = True, least_px: float = 0) -> None:
        """Log it as text, or print it to standard output as ``json``.

        ``confirm`` is the tracker's setting, ``least_px`` the side from which on a face gets a label;
        ``advise``: say what to try where no face was tracked, or most were too small.
        """
        if form == "json":
            print(json.dumps({"schema": SCHEMA, **asdict(self)}), flush=True)
            return
        rate = self.frames / max(self.run_s, 1e-9)
        log.info(
            "%d frame%s in %.1f s (%.0f per second); faces tracked: %d; estimates: %d, uncertain: %.0f %%",
            self.frames, "s" * (self.frames != 1), self.run_s, rate, self.faces, self.estimates,
            100 * self.uncertain,
        )  # fmt: skip
        if self.dropped:
            log.info("%d frame%s dropped in favor of newer ones", self.dropped, "s" * (self.dropped != 1))
        if advise and self.face_px is not None and self.face_px < least_px:
            log.warning(_SMALL, self.face_px, least_px)
        if not advise or self.faces:
            return
        if self.seen:
            log.warning(_SINGLE, self.seen, confirm)
        else:
            log.warning(_TRY)

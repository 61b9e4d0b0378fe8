"""The only data that may leave a run: the fields of these records are the allow-list of every event sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.data import SCHEMA, EmotionEstimate, Frame


@dataclass(frozen=True, slots=True)
class EstimateEvent:
    """One estimate with label names, the frame number and, for a camera, wall-clock time."""

    timestamp_s: float  # seconds, CLOCK_MONOTONIC for a camera, container time for a file
    frame: int
    track_id: int
    box: Sequence[float]  # x0, y0, x1, y1 in frame pixels
    label: str | None  # a key of ``probabilities``, "uncertain", or None where no single label is chosen
    warm: bool
    fresh: bool
    label_since_s: float | None = None  # time of the frame that the answer was first shown on
    uncertain_since_s: float | None = None  # since when the network itself is uncertain; None: it is not
    labels: Sequence[str] | None = None  # of independent labels those that hold
    probabilities: Mapping[str, float] | None = None  # sum 1 where one label is chosen
    values: Mapping[str, float] | None = None  # of a network without probabilities, as of valence and arousal
    utc: str | None = None  # ISO 8601, to the millisecond
    utc_sure: bool | None = None  # False while the wall clock is unreliable
    still: bool = False  # True for a photograph, fed to the network several times

    @classmethod
    def of(cls, frame: Frame, estimate: EmotionEstimate, wall: tuple[str, bool] | None) -> EstimateEvent:
        """The event for one ``estimate`` on ``frame``; ``wall`` is UTC and whether it is reliable."""
        values = estimate.to_dict()
        del values["schema"]
        utc, utc_sure = wall or (None, None)
        return cls(frame=frame.index, **values, utc=utc, utc_sure=utc_sure)

    def to_dict(self) -> dict[str, Any]:
        """The object of one JSON line."""
        wall = {} if self.utc is None else {"utc": self.utc, "utc_sure": self.utc_sure}
        numbers = {"labels": self.labels, "probabilities": self.probabilities, "values": self.values}
        return {
            "schema": SCHEMA,
            "timestamp_s": self.timestamp_s,
            "frame": self.frame,
            "track_id": self.track_id,
            "box": self.box,
            "label": self.label,
            "label_since_s": self.label_since_s,
            "uncertain_since_s": self.uncertain_since_s,
            **{name: value for name, value in numbers.items() if value is not None},
            "warm": self.warm,
            "fresh": self.fresh,
            **({"still": True} if self.still else {}),
            **wall,
        }


Event = EstimateEvent  # will become a union of several kinds

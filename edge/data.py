"""The records that pass through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
UNCERTAIN = "uncertain"
SCHEMA = "emotion-edge/1"  # of an estimate in JSON


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a camera or file."""

    image: npt.NDArray[np.uint8]  # (H,W,3) BGR or (H,W) luma; may be a strided view
    timestamp_s: float  # seconds; CLOCK_MONOTONIC at capture for cameras, container time for files
    index: int  # 0, 1, 2, ... as the source counts, including dropped frames
    luma_range: Literal["full", "limited"] = "full"  # limited: 16 is black, 235 is white
    drawn: npt.NDArray[np.uint8] | None = None  # (H,W,3) BGR to draw on, taken at the same time, of any size
    still: bool = False  # the only frame of its source: a photograph


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face."""

    box_xyxy: Float32  # (4,) the face square in frame pixels, see edge.faces.square
    score: float = 1.0  # 0..1
    # (5,2) frame pixels: right eye, left eye, nose, right and left corner of the mouth
    landmarks: Float32 | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """How thorough one detection must be; a detector that cannot save time this way ignores it."""

    smallest: float | None = None  # side of the smallest face to detect / frame width; None: any size
    width_share: float = 1.0  # of the usual input width; less under load


ANY_FACE = Search()


@dataclass(frozen=True, slots=True)
class EmotionEstimate:
    """The apparent expression of one track at one point in time."""

    track_id: int
    timestamp_s: float  # seconds, time of the frame
    box_xyxy: Float32  # (4,) frame pixels
    probabilities: Float32  # (K,) sum 1, in the order of ``labels``
    labels: tuple[str, ...]  # (K,) from the bundle
    label: str  # one of ``labels``, or "uncertain"
    warm: bool  # False while the recurrent state is still filling
    fresh: bool  # True if the network ran on this frame
    still: bool = False  # True for a single picture, fed to the network several times

    def to_dict(self) -> dict[str, Any]:
        """The estimate for JSON: rounded seconds and pixels, and a probability for each label name."""
        pairs = zip(self.labels, self.probabilities, strict=True)
        return {
            "schema": SCHEMA,
            "timestamp_s": round(float(self.timestamp_s), 4),
            "track_id": self.track_id,
            "box": [round(float(value), 1) for value in self.box_xyxy],
            "label": self.label,
            "probabilities": {name: round(float(probability), 4) for name, probability in pairs},
            "warm": self.warm,
            "fresh": self.fresh,
            **({"still": True} if self.still else {}),
        }


@dataclass(slots=True)
class Track:
    """One face over time; owns its recurrent state, which ends with it."""

    id: int
    face: Face
    last_step_s: float | None = None  # seconds, time of the last frame the network ran on
    state: tuple[Any, ...] = ()  # one row (D...) per state tensor, from the engine; empty: zero state
    steps: int = 0  # network steps since the track's start or last reset
    estimate: EmotionEstimate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, element type and shape of a tensor; None stands for the batch dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

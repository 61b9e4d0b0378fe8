"""The records that walk through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the camera or file."""

    image: npt.NDArray[np.uint8]  # (H,W,3) BGR or (H,W) luma; may be a strided view
    timestamp_s: float  # seconds; CLOCK_MONOTONIC at capture for cameras, container time for files
    index: int  # 0, 1, 2, ... as the source counts them, dropped frames included
    luma_range: Literal["full", "limited"] = "full"  # limited: 16 is black, 235 is white
    drawn: npt.NDArray[np.uint8] | None = None  # (H,W,3) BGR of the same moment, of any size, to draw on


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face."""

    box_xyxy: Float32  # (4,) the face square in frame pixels, see edge.faces.crop
    score: float  # 0..1
    landmarks: Float32 | None = (
        None  # (5,2) frame pixels: right eye, left eye, nose, right, left mouth corner
    )


@dataclass(frozen=True, slots=True)
class EmotionEstimate:
    """The apparent expression of one track at one time."""

    track_id: int
    timestamp_s: float  # seconds, time of the frame
    box_xyxy: Float32  # (4,) frame pixels
    probabilities: Float32  # (K,) sum 1, in the order of the bundle's labels
    label: str  # one of the bundle's labels, or "uncertain"
    warm: bool  # False while the recurrent state is still filling
    fresh: bool  # True where the network ran on this very frame


@dataclass(slots=True)
class Track:
    """One face over time; it owns its recurrent state, which dies with it."""

    id: int
    face: Face
    last_seen_s: float  # seconds, last frame in which the detector found it
    last_step_s: float | None = None  # seconds, last frame on which the network ran
    state: tuple[Any, ...] = ()  # one row (D...) per state tensor as the engine gave it; empty = zero state
    steps: int = 0  # network steps since birth or reset
    estimate: EmotionEstimate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, element type and shape of a tensor; None marks the free batch dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

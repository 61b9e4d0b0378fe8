"""The records that pass through the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

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
    appearance: Float32 | None = field(default=None, repr=False)  # see edge.faces.appearance


@dataclass(frozen=True, slots=True)
class Fine:
    """A detection of faces that the whole frame at the usual input width is too coarse for."""

    smallest_px: float  # side of the smallest face that is wanted, in frame pixels
    near: tuple[Float32, ...] = ()  # face squares (4,) around which to look
    wider: tuple[Float32, ...] = ()  # face squares to look at with their surroundings, as if they were new
    part: Float32 | None = None  # (4,) a part of the frame in which to look for new faces
    known: tuple[Float32, ...] = ()  # face squares that are not new
    whole: bool = False  # look at the whole frame, too


@dataclass(frozen=True, slots=True)
class Search:
    """How thorough one detection must be; a detector that cannot save time this way ignores it."""

    smallest: float | None = None  # side of the smallest face to detect / frame width; None: any size
    width_share: float = 1.0  # of the usual input width; less under load
    # Face squares (4,): where that saves time, look only around these; (): anywhere.
    near: tuple[Float32, ...] = ()
    fine: Fine | None = None  # look for what it asks for and for nothing else


ANY_FACE = Search()


class Named(NamedTuple):
    """A label and what is said of it, such as "71%"; may be empty."""

    label: str
    text: str


class Bar(NamedTuple):
    """The number of one label as a bar from ``begin`` to ``end``, shares of the whole width."""

    label: str
    text: str
    begin: float
    end: float


class Axis(NamedTuple):
    """How numbers over time are drawn: between ``low`` and ``high``, ``stacked`` if they sum to 1."""

    title: str
    low: float
    high: float
    stacked: bool = False


class Meaning(Protocol):
    """What an output needs to know of an answer; edge.answers has the kinds, and nobody asks which it is."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def axis(self) -> Axis: ...
    def supports(self, shown: Answer, numbers: Float32, margin: float, /) -> bool: ...
    def probabilities(self, answer: Answer, /) -> Float32: ...
    def values(self, answer: Answer, /) -> Float32: ...
    def fields(self, answer: Answer, /) -> dict[str, Any]: ...
    def headline(self, answer: Answer, /) -> tuple[Named, ...]: ...
    def over(self, answers: Sequence[Answer], /) -> tuple[Named, ...]: ...
    def bars(self, answer: Answer, most: int, /) -> list[Bar]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network says about one face in one step."""

    meaning: Meaning = field(repr=False)
    numbers: Float32  # (K,) probabilities or values, in the order of the labels
    label: str | None  # the one label, "uncertain", or None where the network does not choose one
    present: tuple[str, ...] = ()  # of independent labels those that hold

    def same(self, other: Answer) -> bool:
        """Whether both say the same, be it with other numbers."""
        return (self.label, self.present) == (other.label, other.present)


@dataclass(slots=True)
class Held:
    """The answer that is shown of one track."""

    answer: Answer  # with the numbers of the last step
    since_s: float  # seconds, time of the frame it was first shown on
    uncertain_since_s: float | None = None  # since when the network itself is uncertain; None: it is not
    before: Answer | None = None  # what was shown before it, unless that was "uncertain"
    returning: int = 0  # steps in a row that said the same as ``before``
    large: bool = True  # whether the face is large enough for an answer


@dataclass(frozen=True, slots=True)
class EmotionEstimate:
    """The apparent expression of one track at one point in time."""

    track_id: int
    timestamp_s: float  # seconds, time of the frame
    box_xyxy: Float32  # (4,) frame pixels
    answer: Answer
    warm: bool  # False while the recurrent state is still filling
    fresh: bool  # True if the network ran on this frame
    still: bool = False  # True for a single picture, fed to the network several times
    label_since_s: float | None = None  # seconds, time of the frame that the answer was first shown on
    uncertain_since_s: float | None = None  # since when the network itself is uncertain; None: it is not

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels (K,) of the bundle."""
        return self.answer.meaning.labels

    @property
    def label(self) -> str | None:
        """One of ``labels``, or "uncertain"; None where the network does not choose one.

        It is held: single steps with other ``probabilities`` do not change it.
        """
        return self.answer.label

    @property
    def present(self) -> tuple[str, ...]:
        """Of independent labels those that reach their thresholds; else empty."""
        return self.answer.present

    @property
    def probabilities(self) -> Float32:
        """(K,) in the order of ``labels``, sum 1 if one of them holds; (0,) where there are values."""
        return self.answer.meaning.probabilities(self.answer)

    @property
    def values(self) -> Float32:
        """(K,) such as valence and arousal, in the order of ``labels``; (0,) of other networks."""
        return self.answer.meaning.values(self.answer)

    def to_dict(self) -> dict[str, Any]:
        """The estimate for JSON: rounded seconds and pixels, and a number for each label name."""
        return {
            "schema": SCHEMA,
            "timestamp_s": _rounded(self.timestamp_s),
            "track_id": self.track_id,
            "box": [round(value, 1) for value in self.box_xyxy.tolist()],
            "label": self.label,
            "label_since_s": _rounded(self.label_since_s),
            "uncertain_since_s": _rounded(self.uncertain_since_s),
            **self.answer.meaning.fields(self.answer),
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
    held: Held | None = field(default=None, repr=False)
    no_face_since_s: float | None = None  # seconds, the first of the latest steps without a face in the crop


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, element type and shape of a tensor; None stands for the batch dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 4)

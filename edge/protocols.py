"""What the pipeline asks of a camera, a detector, an engine and a sink. All are context managers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from edge.data import EmotionEstimate, Face, Frame, TensorSpec


@runtime_checkable
class Source(AbstractContextManager["Source"], Protocol):
    """Gives frames. ``live`` sources run on regardless, so only their newest frame is worth having."""

    live: bool
    frame_count: int | None  # length of a finite source where it is known

    def frames(self) -> Iterator[Frame]:
        """Yield frames with rising index and timestamp; a finite source just ends."""
        ...


@runtime_checkable
class FaceDetector(AbstractContextManager["FaceDetector"], Protocol):
    """Finds faces.

    ``width_share``: of its usual input width, where the machine is to be spared. ``starts_at``: the score
    from which a face may begin a track; one that scores less may only continue one. ``expects``: side of
    the smallest face that is looked for, over the frame's width; None for all faces. It may save time.
    """

    width_share: float
    expects: float | None
    starts_at: float

    def detect(self, frame: Frame) -> list[Face]:
        """Faces of one frame, best score first; an empty list where there is none."""
        ...


@runtime_checkable
class Engine(AbstractContextManager["Engine"], Protocol):
    """Runs one step of the network.

    A state is fed as an array (N,...) or as a list of N rows, each as an earlier step gave it: an engine may
    keep its rows on a device. Whatever it gives can be indexed by row and read as an array.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @property
    def serves(self) -> str:
        """Precision and library, for logs and health."""
        ...

    def tick(self) -> None:
        """Called between two frames, whether a face was there or not."""
        ...

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch; what is returned belongs to the caller."""
        ...


@runtime_checkable
class Sink(AbstractContextManager["Sink"], Protocol):
    """Takes the estimates away."""

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Take one frame and the estimates of all its tracks; may be called with none."""
        ...

"""What the pipeline asks of a camera, a detector, an engine and an output. All are context managers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from edge.data import EmotionEstimate, Face, Frame, Search, TensorSpec
from edge.events import Event


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
    """Finds faces."""

    def detect(self, frame: Frame, search: Search = ...) -> list[Face]:
        """Faces of one frame as face squares, best score first; an empty list where there is none."""
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

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch; what is returned belongs to the caller."""
        ...


@runtime_checkable
class EventSink(AbstractContextManager["EventSink"], Protocol):
    """Takes events away: the only kind of output that other packages may add."""

    def write(self, events: Sequence[Event]) -> None:
        """Take the events of one frame; may be called with none."""
        ...


@runtime_checkable
class PictureSink(AbstractContextManager["PictureSink"], Protocol):
    """Makes a picture or a clip of what was seen; a service refuses it unless output.pictures is true."""

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Take one frame and the estimates of all its tracks; may be called with none."""
        ...

"""Protocols of a source, a detector, an engine and an output. All are context managers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from edge.data import EmotionEstimate, Face, Frame, Search, TensorSpec
from edge.events import Event


@runtime_checkable
class Source(AbstractContextManager["Source"], Protocol):
    """Yields frames. A ``live`` source does not wait for its reader, so only its newest frame matters."""

    @property
    def live(self) -> bool:
        """Whether it is a camera."""
        ...

    @property
    def frame_count(self) -> int | None:
        """Length of a finite source, if known."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield frames with increasing index and timestamp; a finite source just ends."""
        ...


@runtime_checkable
class FaceDetector(AbstractContextManager["FaceDetector"], Protocol):
    """Detects faces."""

    def detect(self, frame: Frame, search: Search = ...) -> list[Face]:
        """Faces in one frame as face squares, best score first; an empty list if there are none."""
        ...


@runtime_checkable
class Engine(AbstractContextManager["Engine"], Protocol):
    """Runs one step of the network.

    A state is fed as an array (N,...) or as a list of N rows, each as returned by an earlier step. An engine
    may keep its rows on a device. Whatever it returns can be indexed by row and converted to an array.
    """

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """Name -> tensor that ``run`` takes."""
        ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """Name -> tensor that ``run`` returns."""
        ...

    @property
    def serves(self) -> str:
        """Precision and library in use, for logs and health."""
        ...

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch; the returned arrays belong to the caller."""
        ...


@runtime_checkable
class EventSink(AbstractContextManager["EventSink"], Protocol):
    """Writes events: the only kind of output that other packages may add.

    It learns the names of the labels from the first event.
    """

    def write(self, events: Sequence[Event]) -> None:
        """Write the events of one frame; may be called with none."""
        ...


@runtime_checkable
class PictureSink(AbstractContextManager["PictureSink"], Protocol):
    """Writes a picture, clip or live video; a service refuses it unless output.pictures is true."""

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Write one frame with the estimates for all its tracks; may be called with none."""
        ...

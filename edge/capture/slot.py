"""Only the newest frame of a live source, every frame of a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType

from edge.data import Frame
from edge.protocols import Source

_CLOSE_S = 0.8  # a camera blocked in its driver is left to its daemon thread after this


class NewestFrames:
    """Iterate over the frames of ``source``, which the caller has opened and will close.

    A live source is read on a thread into a slot for one frame: a newer frame overwrites the one
    that nobody took, and ``dropped`` counts those. Anything else is passed straight through.
    What the source raises is raised in the loop, after the last good frame. For one loop only.
    """

    def __init__(self, source: Source) -> None:
        self.dropped = 0  # frames overwritten before anyone took them
        self._source = source
        self._changed = threading.Condition()
        self._slot: Frame | None = None
        self._ended = False
        self._closing = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> NewestFrames:
        if self._source.live:
            self._thread = threading.Thread(target=self._fill, name="capture", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def __iter__(self) -> Iterator[Frame]:
        if not self._source.live:
            yield from self._source.frames()
            return
        while (frame := self._take()) is not None:
            yield frame

    def _fill(self) -> None:
        try:
            for frame in self._source.frames():
                if not self._put(frame):
                    break
        except BaseException as error:  # whatever it is, the main loop has to hear of it
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            if self._closing:
                return False
            self.dropped += self._slot is not None
            self._slot = frame
            self._changed.notify_all()
            return True

    def _take(self) -> Frame | None:
        """The newest frame, waiting for one; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self._ended or self._closing)
            if self._closing:
                return None
            frame, self._slot = self._slot, None
        if frame is None and self._error is not None:
            raise self._error
        return frame

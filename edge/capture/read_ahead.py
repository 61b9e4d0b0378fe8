"""Reads a file's frames on another thread while those before are worked on; all of them, in their order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator

from edge.data import Frame

MOST = 2  # frames that wait; the thread holds one more


class ReadAhead:
    """Iterates over ``frames``, which run on a thread of their own, up to three frames ahead.

    An error of theirs is raised in its turn, after the last good frame. Iterate only once, and call ``stop``
    before what they read is closed.
    """

    def __init__(self, frames: Generator[Frame, None, None]) -> None:
        self._frames = frames
        self._changed = threading.Condition()
        self._waiting: deque[Frame] = deque()
        self._error: BaseException | None = None
        self._ended = self._stopping = False
        self._thread = threading.Thread(target=self._read, name="decode", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        self._thread.start()
        try:
            while (frame := self._next()) is not None:
                yield frame
                del frame  # or it would be kept until the next one is there
        finally:
            self.stop()
        if self._error is not None:
            raise self._error

    def _next(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            frame = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
            return frame

    def stop(self) -> None:
        """End the thread, and drop what it has read; returns once it no longer reads."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _read(self) -> None:
        try:
            while (frame := next(self._frames, None)) is not None and self._put(frame):
                del frame
        except BaseException as error:  # of any kind: the loop raises it
            self._error = error
        finally:
            self._frames.close()  # here, on the thread that used it
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MOST or self._stopping)
            if not self._stopping:
                self._waiting.append(frame)
                self._changed.notify_all()
            return not self._stopping

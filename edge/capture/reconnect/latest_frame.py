"""Delivers only the newest frame of a live source, but every frame of a file."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

from edge.capture.orientation import UPRIGHT, Orientation
from edge.data import Frame
from edge.protocols import Source
from edge.system.closing import Closing

_CLOSE_S = 0.8  # after this, a camera blocked in its driver is left to its daemon thread


class Slot:
    """Buffer for one frame between a reading and a working thread; a newer frame replaces an older one."""

    def __init__(self) -> None:
        self.dropped = 0  # frames replaced before they were taken
        self._changed = threading.Condition()
        self._frame: Frame | None = None

    def put(self, frame: Frame) -> None:
        """Store ``frame`` in place of any older one."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def wake(self) -> None:
        """Make a waiting ``take`` check its conditions again."""
        with self._changed:
            self._changed.notify_all()

    def take(self, reader: Reader, timeout_s: float | None) -> Frame | None:
        """The newest frame; None once ``reader`` has ended, or after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or reader.ended, timeout_s)
            frame, self._frame = self._frame, None
            return frame


class Reader:
    """Reads ``frames`` into ``slot`` on its own thread until they end, fail, or ``stop`` is called."""

    def __init__(self, frames: Iterator[Frame], slot: Slot) -> None:
        self.ended = False
        self.error: BaseException | None = None
        self._frames, self._slot, self._stopping = frames, slot, False
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if self._stopping:
                    break
                self._slot.put(frame)
        except BaseException as error:  # of any kind: the main loop raises it
            self.error = error
        finally:
            self._frames = iter(())  # closes a generator's source here, on the thread that used it
            self.ended = True
            self._slot.wake()

    def stop(self, patience_s: float) -> bool:
        """Stop the thread; False if it hangs in its library and has to be abandoned."""
        self._stopping = True
        self._thread.join(patience_s)
        return not self._thread.is_alive()


def _with_stills(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The frames, of which an only one is marked as a still."""
    first = next(frames, None)
    if first is None:
        return
    try:
        second = next(frames, None)
    except Exception:  # such as a file that breaks off: its error is raised after the last good frame
        yield first
        raise
    if second is None:
        yield replace(first, still=True)
        return
    yield first
    yield second
    del first, second  # or they would be kept to the end
    yield from frames


class NewestFrames(Closing):
    """Iterates over the frames of ``source``, which the caller opens and closes.

    A live source is read on a thread into a slot for one frame. Frames of other sources are passed straight
    through. All are turned by ``orientation``. An error of the source is raised in the loop, after the last
    good frame. Iterate only once.
    """

    def __init__(self, source: Source, orientation: Orientation = UPRIGHT) -> None:
        self._source, self._slot, self._turn = source, Slot(), orientation.turn_frame
        self._reader: Reader | None = None
        self._closing = False
        self.bad: Counter[str] = Counter()  # always empty: only Recovering checks frames
        self.rungs: Counter[str] = Counter()
        self.why = ""  # likewise: it ends where Recovering goes on without frames
        self.frame_count = source.frame_count

    @property
    def dropped(self) -> int:
        """Frames replaced by a newer one before they were taken."""
        return self._slot.dropped

    def leave(self) -> None:
        """End the loop over the frames."""
        self._closing = True

    def __enter__(self) -> NewestFrames:
        if self._source.live:
            self._reader = Reader(self._source.frames(), self._slot)
        return self

    def close(self) -> None:
        """Stop the reading thread."""
        self._closing = True
        if self._reader is not None:
            self._reader.stop(_CLOSE_S)

    def __iter__(self) -> Iterator[Frame]:
        if self._reader is None:
            frames = _with_stills(self._source.frames())
            yield from map(self._turn, takewhile(lambda _: not self._closing, frames))
            return
        while not self._closing and (frame := self._slot.take(self._reader, None)) is not None:
            yield self._turn(frame)
        if self._reader.error is not None and not self._closing:
            raise self._reader.error

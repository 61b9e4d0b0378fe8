"""Only the newest frame of a live source, every frame of a file."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from types import TracebackType

from edge.data import Frame
from edge.protocols import Source

_CLOSE_S = 0.8  # a camera blocked in its driver is left to its daemon thread after this


class Slot:
    """One place between a thread that reads and one that works; the newest frame wins."""

    def __init__(self) -> None:
        self.dropped = 0  # frames overwritten before anyone took them
        self._changed = threading.Condition()
        self._frame: Frame | None = None

    def put(self, frame: Frame) -> None:
        """Replace what lies there."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def wake(self) -> None:
        """Have ``take`` look again at what it waits for."""
        with self._changed:
            self._changed.notify_all()

    def take(self, reader: Reader, timeout_s: float | None) -> Frame | None:
        """The newest frame; None once ``reader`` has ended, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or reader.ended, timeout_s)
            frame, self._frame = self._frame, None
            return frame


class Reader:
    """Reads ``source`` on a thread of its own into ``slot`` until it ends, fails or is told to leave."""

    def __init__(self, frames: Iterator[Frame], slot: Slot) -> None:
        self.ended = False
        self.error: BaseException | None = None
        self._frames, self._slot, self._leave = frames, slot, False
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if self._leave:
                    break
                self._slot.put(frame)
        except BaseException as error:  # whatever it is, the main loop has to hear of it
            self.error = error
        finally:
            self._frames = iter(())  # closes the source of a generator here, on the thread that used it
            self.ended = True
            self._slot.wake()

    def stop(self, patience_s: float) -> bool:
        """Tell the thread to leave; False where it hangs in its library, and is left to itself."""
        self._leave = True
        self._thread.join(patience_s)
        return not self._thread.is_alive()


class NewestFrames:
    """Iterate over the frames of ``source``, which the caller has opened and will close.

    A live source is read on a thread into a slot for one frame. Anything else is passed straight through.
    What the source raises is raised in the loop, after the last good frame. For one loop only.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._slot = source, Slot()
        self._reader: Reader | None = None
        self._closing = False
        self.bad: Counter[str] = Counter()  # nothing is refused or brought back here: see recovery.py
        self.rungs: Counter[str] = Counter()
        self.frame_count = source.frame_count

    @property
    def dropped(self) -> int:
        """Frames that nobody took before a newer one came."""
        return self._slot.dropped

    def leave(self) -> None:
        """End the loop over the frames."""
        self._closing = True

    def __enter__(self) -> NewestFrames:
        if self._source.live:
            self._reader = Reader(self._source.frames(), self._slot)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._reader is not None:
            self._reader.stop(_CLOSE_S)

    def __iter__(self) -> Iterator[Frame]:
        if self._reader is None:
            yield from takewhile(lambda _: not self._closing, self._source.frames())
            return
        while not self._closing and (frame := self._slot.take(self._reader, None)) is not None:
            yield frame
        if self._reader.error is not None and not self._closing:
            raise self._reader.error

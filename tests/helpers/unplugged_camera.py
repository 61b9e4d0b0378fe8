"""A camera that somebody unplugs and plugs in again, and a watcher of what follows."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

from noise_pictures import NOISE

from edge.data import Frame


class World:
    """A camera that somebody unplugs and plugs in again; ``kind`` is how it fails while it is away."""

    def __init__(self) -> None:
        self.plugged = threading.Event()
        self.plugged.set()
        self.kind = "blocks"


class Camera:
    live, frame_count = True, None

    def __init__(self, world: World, fps: float = 200.0) -> None:
        self.world, self.fps = world, fps
        self.closed = threading.Event()

    def __enter__(self):
        if not self.world.plugged.is_set() and self.world.kind == "refuses":
            raise OSError("no such device")
        return self

    def __exit__(self, *about) -> None:
        self.closed.set()

    def frames(self) -> Iterator[Frame]:
        for index in itertools.count():
            time.sleep(1 / self.fps)
            while not self.world.plugged.is_set() and not self.closed.is_set():
                if self.world.kind == "raises":
                    raise OSError("the device is gone")
                if self.world.kind == "ends":
                    return
                self.closed.wait(0.05)
            if self.closed.is_set():
                return
            yield Frame(NOISE[index % 64], time.monotonic(), index)


class Watcher:
    """When a condition became true, looked at every 2 ms."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition, self._at = condition, float("inf")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        end = time.monotonic() + 60
        while not self._condition() and time.monotonic() < end:
            time.sleep(0.002)
        self._at = time.monotonic()

    def seen_s(self) -> float:
        self._thread.join()
        return self._at

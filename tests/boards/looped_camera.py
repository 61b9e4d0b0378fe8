"""Run inside the service test's machine in place of ``python -m edge``: picam:// plays a clip for ever.

Files in /run/emotion-edge, made by the test, are its faults: ``no-camera`` takes the camera away, ``hang``
lets the face detector hang while everything around it lives on, ``hoards`` lets it keep memory at each frame.
"""

from __future__ import annotations

# ruff: noqa: E402
from edge.system.process import stay_in_memory

stay_in_memory()  # before what is large is imported, as the program does

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import cv2

from edge.__main__ import main
from edge.capture import sources
from edge.config import SourceConfig
from edge.data import ANY_FACE, Face, Frame, Search
from edge.errors import SourceError
from edge.faces import detectors
from edge.faces.haar import HaarDetector
from edge.system.closing import Closing

CLIP = Path(__file__).with_name("clip.avi")
FAULTS = Path("/run/emotion-edge")
FPS = 15.0


class LoopedCamera(Closing):
    """A live camera made from a clip; times are CLOCK_MONOTONIC."""

    live = True
    frame_count = None

    def frames(self) -> Iterator[Frame]:
        index = 0
        while True:
            clip = cv2.VideoCapture(str(CLIP))
            while clip.grab():
                if (FAULTS / "no-camera").exists():
                    raise SourceError("the camera was taken away by the test")
                time.sleep(1 / FPS)
                yield Frame(clip.retrieve()[1], time.monotonic(), index)
                index += 1
            clip.release()


class Detector(HaarDetector):
    _hoard: ClassVar[list[bytes]] = []

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        # No more than 1 GiB: where nothing limits it, the test fails and the host lives on.
        if (FAULTS / "hoards").exists() and len(self._hoard) < 64:
            self._hoard.append(b"x" * (16 << 20))  # written to, so that it is really taken
        while (FAULTS / "hang").exists():
            time.sleep(0.1)
        return super().detect(frame, search)


def camera(_: SourceConfig) -> LoopedCamera:
    """What stands for picamera2; opening fails while the camera is away."""
    if (FAULTS / "no-camera").exists():
        raise SourceError("no camera: the test holds it")
    return LoopedCamera()


def replace_part(module: ModuleType, table: str, name: str, load: Callable[..., object]) -> None:
    """Have the row ``name`` of a table of parts load something else; a row that is not there is added."""
    rows = {part.name: part for part in getattr(module, table)}
    like = rows.get(name) or next(iter(rows.values()))
    rows[name] = replace(like, name=name, load=load)
    setattr(module, table, tuple(rows.values()))


if __name__ == "__main__":
    replace_part(sources, "SOURCES", "picam", camera)
    replace_part(detectors, "DETECTORS", "haar", lambda *_: Detector())
    sys.exit(main())

"""The public API: read a source, track faces in your own camera loop, or analyze a single picture."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge import session
from edge.config import Config
from edge.config_file import Reader
from edge.data import EmotionEstimate, Face, Frame
from edge.errors import EdgeError
from edge.faces.tracker import Tracker
from edge.pipeline import follow
from edge.recognition.cuts import CutFinder
from edge.system.closing import Closing

Picture = npt.NDArray[np.uint8]


class Run(Closing):
    """An open source: iterate over it, once only, to get each frame with the estimates for its faces."""

    def __init__(self, config: Config) -> None:
        with ExitStack() as stack:
            self._parts = stack.enter_context(session.parts(config))
            self._frames, self._pipeline = self._parts.frames, self._parts.pipeline
            self._stack = stack.pop_all()

    def __iter__(self) -> Iterator[tuple[Frame, list[EmotionEstimate]]]:
        for frame in islice(self._frames, self._parts.config.output.max_frames):
            yield frame, self._pipeline.step(frame)

    def close(self) -> None:
        """Close the source, the engine and every output; calling it again does nothing."""
        self._stack.close()


class ExpressionTracker(Closing):
    """For your own camera loop: pass each picture, get the estimates for the visible faces.

    Includes detector, tracker and recurrent step. ``bundle`` is the folder of a bundle (default: the
    reference bundle), ``config`` a TOML file or a ``Config``. ``settings`` takes the keys of ``--set``:
    ``{"detector.every": 5}``. Raises EdgeError if something is missing or invalid.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        *,
        config: str | Path | Config | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._stack = ExitStack()
        self._parts = self._stack.enter_context(session.parts(_config(config, bundle, settings)))
        self._recognizer = self._parts.new_recognizer()
        self._own: Tracker | None = None  # for faces that the caller passes in
        self._cuts = CutFinder()
        self._index = 0

    def update(
        self, image: Picture, timestamp_s: float | None = None, faces: Sequence[Face] | None = None
    ) -> list[EmotionEstimate]:
        """The estimates for the visible faces; ``fresh`` is True if the network ran on this picture.

        Args:
            image: (H,W,3) uint8 BGR, as OpenCV reads it, or (H,W) uint8 gray.
            timestamp_s: capture time in seconds of any monotonic clock; default: CLOCK_MONOTONIC now.
            faces: from another detector, as face squares (see ``face_square``); in every call or in none.

        Raises:
            EdgeError: an image of another shape or type, or faces in only some of the calls.
        """
        now_s = time.monotonic() if timestamp_s is None else timestamp_s
        frame = Frame(_checked(image), now_s, self._index)
        if self._index and (faces is None) != (self._own is None):
            raise EdgeError("faces were passed in only some calls; pass them in every call, or in none")
        self._index += 1
        if faces is None:
            return self._parts.pipeline.step(frame)
        if self._own is None:
            self._own = self._parts.new_tracker(starts_at=0.0)  # the caller has filtered them
        return follow(frame, self._cuts.look(frame), lambda _: list(faces), self._own, self._recognizer)

    def close(self) -> None:
        """Free the engine and the detector; calling it again does nothing."""
        self._stack.close()


def open(
    source: str | int | Path,
    *,
    bundle: str | Path | None = None,
    config: str | Path | Config | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Open a camera, file or folder and iterate over ``(frame, estimates)``, preferably in a ``with`` block.

    Args:
        source: as for ``emotion-edge run``: 0, "/dev/video0", "rtsp://...", "clip.mp4", "demo".
        bundle: folder of a bundle; default: the reference bundle.
        config: a TOML file or a ``Config``.
        settings: keys of ``--set`` with their values: ``{"detector.every": 5, "output.jsonl": "a.jsonl"}``.

    Raises:
        EdgeError: something is missing or invalid; the loop raises it too if the source fails.
    """
    return Run(_config(config, bundle, {**(settings or {}), "source.address": str(source)}))


def analyze(
    image: Picture,
    *,
    bundle: str | Path | None = None,
    config: str | Path | Config | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[EmotionEstimate]:
    """The estimates for a still, one per face, best detection first; ``still`` is True.

    Each face is fed to the network in 8 identical steps from the zero state. ``image`` is (H,W,3) uint8 BGR
    or (H,W) uint8 gray. For many pictures of one person, as from a camera, use ``ExpressionTracker``.
    """
    frame = Frame(_checked(image), 0.0, 0, still=True)
    with session.parts(_config(config, bundle, settings)) as parts:
        return parts.new_pipeline().step(frame)


def _config(
    config: str | Path | Config | None, bundle: str | Path | None, settings: Mapping[str, Any] | None
) -> Config:
    reader = Reader(config if isinstance(config, Config) else None)
    if isinstance(config, str | Path):
        reader.file(Path(config))
    for name, value in (settings or {}).items():
        reader.set(name, value, "settings")
    if bundle is not None:
        reader.set("bundle.path", str(bundle), "bundle")
    return reader.config


def _checked(image: Picture) -> Picture:
    """``image`` if it is a valid picture; EdgeError names its type, or its shape and dtype."""
    if not isinstance(image, np.ndarray):
        raise EdgeError(f"image is {type(image).__name__}, expected a numpy array (H,W,3) or (H,W) of uint8")
    is_bgr = image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or not (image.ndim == 2 or is_bgr) or min(image.shape[:2]) < 1:
        raise EdgeError(
            f"image is {image.shape} of {image.dtype}, expected (H,W,3) BGR or (H,W) gray of uint8"
        )
    return image

"""An annotated clip: box, track, label and the top probabilities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import UNCERTAIN, EmotionEstimate, Float32, Frame
from edge.errors import ConfigError
from edge.system.closing import Closing
from edge.system.output_file import check_writable

Picture = npt.NDArray[np.uint8]

# BGR, distinguishable with any color vision (Okabe and Ito, 2008); a track keeps its color.
COLORS = ((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (167, 121, 204))
GRAY = (150, 150, 150)
FONT = cv2.FONT_HERSHEY_SIMPLEX
_WAITING = 12  # frames to derive the frame rate from: a single gap may be atypical, as in many .mov files
_BARS = 3


class VideoSink(Closing):
    """Write every frame with its estimates to an .mp4.

    The clip gets its name when the sink is closed, so that an incomplete file never has it. Frames of
    another size than the first are resized. The rate is derived from the times of the first frames.
    """

    def __init__(self, path: str, force: bool = False) -> None:
        """Raises ConfigError if the path cannot be written."""
        self._path = Path(path)
        check_writable(self._path, (".mp4",), force=True)
        self._part = self._path.with_name(f".{self._path.stem}.part.mp4")
        self._waiting: list[tuple[float, Picture]] = []
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def close(self) -> None:
        """Finish the clip and give it its name."""
        if self._writer is None and self._waiting:
            self._start(_rate([stamp_s for stamp_s, _ in self._waiting]))
        if self._writer is not None:
            self._writer.release()
            os.replace(self._part, self._path)

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Draw the estimates onto a copy of the frame and append it."""
        picture = draw(frame, estimates)
        if self._writer is not None:
            self._append(picture)
            return
        self._waiting.append((frame.timestamp_s, picture))
        if len(self._waiting) == _WAITING:
            self._start(_rate([stamp_s for stamp_s, _ in self._waiting]))

    def _start(self, fps: float) -> None:
        height, width = self._waiting[0][1].shape[:2]
        self._size = (width, height)
        writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*"mp4v"), fps, self._size)
        if not writer.isOpened():
            self._waiting = []
            raise ConfigError(f"OpenCV cannot write {self._path} ({width}x{height}); remove output.annotate")
        self._writer = writer
        for _, picture in self._waiting:
            self._append(picture)
        self._waiting = []

    def _append(self, picture: Picture) -> None:
        assert self._writer is not None
        if picture.shape[1::-1] != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        self._writer.write(picture)


def _rate(stamps_s: Sequence[float]) -> float:
    """Frames per second from the median gap; 10 for a single frame."""
    if len(stamps_s) < 2:
        return 10.0
    gap_s = max(float(np.median(np.diff(stamps_s))), 1e-3)
    # MPEG-4 stores a rate as a fraction of small numbers: it rejects 73.142857 but accepts 73.14.
    return round(min(max(1 / gap_s, 1.0), 120.0), 2)


def draw(frame: Frame, estimates: Sequence[EmotionEstimate]) -> Picture:
    """A BGR copy (H,W,3) of the picture to draw on, with a box, a title and bars for each estimate."""
    base = frame.image if frame.drawn is None else frame.drawn
    picture = np.asarray(cv2.cvtColor(base, cv2.COLOR_GRAY2BGR) if base.ndim == 2 else base.copy(), np.uint8)
    # Boxes are in pixels of the image, which may have another size than the picture to draw on.
    across, down = base.shape[1] / frame.image.shape[1], base.shape[0] / frame.image.shape[0]
    ratio = np.array((across, down, across, down), np.float32)
    for estimate in estimates:
        _draw_one(picture, estimate, estimate.box_xyxy * ratio)
    return picture


def _draw_one(picture: Picture, estimate: EmotionEstimate, box_xyxy: Float32) -> None:
    scale = max(picture.shape[0] / 480, 0.5)
    certain = estimate.label != UNCERTAIN
    color = COLORS[estimate.track_id % len(COLORS)] if certain else GRAY
    x0, y0, x1, y1 = (round(float(value)) for value in box_xyxy)
    cv2.rectangle(picture, (x0, y0), (x1, y1), color, max(1, round(2 * scale)))
    percent = f" {estimate.probabilities.max():.0%}" if certain else ""
    line = round(19 * scale)
    _text(
        picture,
        f"#{estimate.track_id} {estimate.label}{percent}",
        (x0, y0 - round(6 * scale)),
        color,
        0.55 * scale,
    )
    for rank, k in enumerate(np.argsort(-estimate.probabilities)[:_BARS]):
        top = y1 + round(5 * scale) + rank * line
        length = round(float(estimate.probabilities[k]) * max(x1 - x0, 1))
        cv2.rectangle(picture, (x0, top), (x0 + length, top + line - 3), color, -1)
        _text(
            picture,
            estimate.labels[k],
            (x0 + 4, top + line - round(7 * scale)),
            (255, 255, 255),
            0.42 * scale,
        )


def _text(picture: Picture, text: str, at: tuple[int, int], color: tuple[int, int, int], size: float) -> None:
    cv2.putText(picture, text, at, FONT, size, (0, 0, 0), 3, cv2.LINE_AA)  # an outline, for contrast
    cv2.putText(picture, text, at, FONT, size, color, 1, cv2.LINE_AA)

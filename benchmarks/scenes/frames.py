"""Frames to measure on: a video file, or scenes with a chosen number of faces."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from edge import session
from edge.capture.demo import ACTORS, cutout
from edge.config import Config, SourceConfig
from edge.data import Frame
from edge.errors import SourceError


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that ``chosen`` reads."""
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help="play the first frames of a video, not the built-in scene"
    )
    parser.add_argument("--bgr", action="store_true", help="give frames in color, not in gray")


def chosen(args: argparse.Namespace) -> list[Frame]:
    """The frames of ``--video``, else of the scene; few enough to hold decoded in a board's memory."""
    frames = video(args.video, 100) if args.video else one_face()
    return frames if args.bgr else luma(frames)


def inputs(args: argparse.Namespace) -> list[Path]:
    """The file given with ``--video``, for the fingerprint."""
    return [args.video] if args.video else []


def video(path: Path, most: int = 600) -> list[Frame]:
    """The first frames of a file, decoded in advance so that decoding is not measured."""
    frames = _read(str(path), 0, most)
    if not frames:
        raise SourceError(f"{path} has no frames; check that a video player can open it")
    return frames


def one_face() -> list[Frame]:
    """A part of the demo in which one face moves, in 640x480 pixels."""
    return _read("demo", 33, 66)


def _read(address: str, start: int, stop: int) -> list[Frame]:
    with session.parts(Config(source=SourceConfig(address, color=True))) as parts:
        return list(islice(parts.frames, start, stop))


def crowd(faces: int, width: int = 640, height: int = 480, count: int = 30) -> list[Frame]:
    """``count`` frames with ``faces`` faces in a slightly swaying grid; two photographs take turns."""
    columns = max(math.ceil(math.sqrt(faces * width / height)), 1)
    rows = max(math.ceil(faces / columns), 1)
    side = min(width / columns, height / rows) * 0.9
    people = []
    for _, actor in zip(range(faces), cycle(ACTORS), strict=False):
        photo, alpha = cutout(actor)
        size = round(side), round(side)
        people.append((cv2.resize(photo, size), cv2.resize(alpha, size)[..., None]))
    frames = []
    for at in range(count):
        picture = np.full((height, width, 3), 120, np.float32)
        sway = 0.04 * side * math.sin(2 * math.pi * at / count)
        for place, (photo, alpha) in enumerate(people):
            row, column = divmod(place, columns)
            left = round((column + 0.5) * width / columns - side / 2 + sway)
            top = round((row + 0.5) * height / rows - side / 2)
            part = picture[max(top, 0) : top + round(side), max(left, 0) : left + round(side)]
            down, across = part.shape[:2]
            part += alpha[:down, :across] * (photo[:down, :across] - part)
        frames.append(Frame(picture.clip(0, 255).astype(np.uint8), at / 30, at))
    return frames


def luma(frames: Sequence[Frame]) -> list[Frame]:
    """The frames as luma planes; BT.601, full range."""
    return [as_luma(frame) for frame in frames]


def as_luma(frame: Frame) -> Frame:
    """The frame as a camera's luma plane; BT.601, full range."""
    if frame.image.ndim == 2:
        return frame
    return replace(frame, image=np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)))


def endless(frames: Sequence[Frame], period_s: float) -> Iterator[Frame]:
    """``frames`` forward and backward, over and over, ``period_s`` apart."""
    for index, frame in enumerate(cycle([*frames, *reversed(frames)])):
        yield replace(frame, timestamp_s=index * period_s, index=index)

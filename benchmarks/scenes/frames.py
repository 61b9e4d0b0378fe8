"""Frames to measure on: a video of the user's, or scenes with a chosen number of faces."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from edge.capture.demo import ACTORS, DemoSource, cutout
from edge.capture.opencv import OpenCVSource
from edge.data import Frame
from edge.errors import SourceError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of what ``chosen`` gives."""
    parser.add_argument("--video", type=Path, metavar="FILE", help="its first frames instead of the scene")
    parser.add_argument("--bgr", action="store_true", help="frames in color instead of luma")


def chosen(args: argparse.Namespace) -> list[Frame]:
    """The frames of ``--video``, else of the scene; few enough to lie in a board's memory decoded."""
    frames = video(args.video, 100) if args.video else one_face()
    return frames if args.bgr else luma(frames)


def inputs(args: argparse.Namespace) -> list[Path]:
    """The file that ``--video`` names, for the fingerprint."""
    return [args.video] if args.video else []


def video(path: Path, most: int = 600) -> list[Frame]:
    """The first frames of a file, decoded, so that decoding is no part of what is measured."""
    with OpenCVSource(str(path)) as source:
        found = list(islice(source.frames(), most))
    if not found:
        raise SourceError(f"{path} gave no frame; try it in a player")
    return found


def one_face() -> list[Frame]:
    """Four seconds of the demo in which one face moves in 640x480 pixels."""
    with DemoSource() as source:
        return list(islice(source.frames(), 33, 66))


def crowd(faces: int, width: int = 640, height: int = 480, count: int = 30) -> list[Frame]:
    """``count`` frames with ``faces`` faces in a grid that sways a little; two photographs take turns."""
    columns = max(math.ceil(math.sqrt(faces * width / height)), 1)
    rows = max(math.ceil(faces / columns), 1)
    side = min(width / columns, height / rows) * 0.9
    people = []
    for _, actor in zip(range(faces), cycle(ACTORS), strict=False):
        photo, alpha = cutout(actor)
        how = round(side), round(side)
        people.append((cv2.resize(photo, how), cv2.resize(alpha, how)[..., None]))
    made = []
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
        made.append(Frame(picture.clip(0, 255).astype(np.uint8), at / 30, at))
    return made


def luma(frames: Sequence[Frame]) -> list[Frame]:
    """The frames as a camera's luma plane, full range."""
    return [
        frame if frame.image.ndim == 2
        else replace(frame, image=np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)))
        for frame in frames
    ]  # fmt: skip


def endless(frames: Sequence[Frame], period_s: float) -> Iterator[Frame]:
    """``frames`` there and back, again and again, ``period_s`` apart."""
    for index, frame in enumerate(cycle([*frames, *reversed(frames)])):
        yield replace(frame, timestamp_s=index * period_s, index=index)

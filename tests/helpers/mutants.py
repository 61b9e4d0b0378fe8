"""Changed clips and pictures, each read in a child: mutants.py COUNT SEED FOLDER.

It looks at memory and time, names each that is read wrongly, and keeps it in the folder.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import cv2
import made_clips as clips
import numpy as np

from edge.capture import sources
from edge.config import SourceConfig
from edge.errors import EdgeError

MOST_MB, MOST_S = 400, 10.0
CLIPS = {  # ending -> codec and pixels
    "a.mp4": ("mpeg4", "yuv420p"), "b.mp4": ("libx264", "yuv420p"), "a.mkv": ("libx264", "yuv420p"),
    "a.avi": ("mjpeg", "yuvj420p"), "b.avi": ("rawvideo", "bgr24"), "a.webm": ("libvpx-vp9", "yuv420p"),
    "a.gif": ("gif", "rgb8"), "a.ts": ("mpeg2video", "yuv420p"), "b.ts": ("libx264", "yuv420p"),
    "a.flv": ("flv", "yuv420p"), "a.mov": ("png", "rgb24"), "a.apng": ("apng", "rgb24"),
    "a.nut": ("ffv1", "yuv420p"),
}  # fmt: skip
PICTURES = ("a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.ppm")
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, 10**6)


def whole_files(folder: Path) -> dict[str, bytes]:
    """Name -> a small file that is whole, of each kind that this FFmpeg can write.

    They are made in a child: libraries start threads for it, and a fork of a process with threads may hang.
    """
    maker = os.fork()
    if maker == 0:
        _make(folder)
        os._exit(0)
    os.waitpid(maker, 0)
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in {*CLIPS, *PICTURES}}
    assert len(made) > len(PICTURES) + 5, sorted(made)
    return made


def _make(folder: Path) -> None:
    for name, (codec, pix_fmt) in CLIPS.items():
        with suppress(ValueError, OSError):
            clips.write(folder / name, 6, codec=codec, pix_fmt=pix_fmt)
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    for name in PICTURES:
        (folder / name).write_bytes(cv2.imencode(Path(name).suffix, noise)[1].tobytes())


def mutant(chance: random.Random, whole: bytes) -> bytes:
    """``whole`` with some bytes replaced, by extreme numbers too, removed or repeated; or cut."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        # Most changes are near the start, where the headers stand.
        at = int(len(data) * chance.random() ** chance.choice((1, 3, 3)))
        kind = chance.random()
        if kind < 0.35:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind < 0.75:
            size = chance.choice((1, 2, 4, 8))
            number = chance.choice(EXTREMES) % (1 << 8 * size)
            data[at : at + size] = number.to_bytes(size, chance.choice(("big", "little")))
        elif kind < 0.85:
            del data[at : at + chance.choice((1, 4, 16, 200))]
        elif kind < 0.95:
            data[at:at] = data[at : at + chance.choice((4, 16, 200, 2000))] * chance.choice((1, 2, 50))
        else:
            del data[max(at, 1) :]
    return bytes(data) or b"x"


def _read(path: Path) -> int:
    """An exit code: 0 if the file gives frames whose times rise, or one line."""
    signal.alarm(int(MOST_S) + 5)
    last_s = -1.0
    try:
        with sources.open_source(SourceConfig(address=str(path))) as source:
            for frame in source.frames():
                if frame.timestamp_s <= last_s:
                    return 3
                last_s = frame.timestamp_s
        return 0
    except EdgeError as error:
        return 4 if "\n" in str(error) or len(str(error)) > 600 else 0
    except BaseException:
        traceback.print_exc()
        return 5


def main(count: int, seed: int, folder: Path) -> int:
    logging.disable(logging.CRITICAL)
    wholes, wrong = whole_files(folder), 0
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        name = chance.choice(sorted(wholes))
        path = folder / f"{seed}-{number}-{name}"
        path.write_bytes(mutant(chance, wholes[name]))
        began_s = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(_read(path))
        _, status, used = os.wait4(child, 0)
        took_s, took_mb = time.monotonic() - began_s, used.ru_maxrss // 1024
        if status or took_s > MOST_S or took_mb > MOST_MB:
            wrong += 1
            code = os.waitstatus_to_exitcode(status)
            print(f"{path}: code {code}, {took_s:.1f} s, {took_mb} MB", flush=True)
        else:
            path.unlink()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))

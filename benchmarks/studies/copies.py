"""Bytes copied per frame, from the camera's data to the crop: ``python -m benchmarks.studies.copies``.

The peak memory of each step by tracemalloc, which sees numpy arrays and therefore OpenCV's results. It misses
OpenCV's internal buffers, such as a decoded picture before it is copied into an array. It also misses memory
that is reused for every frame, such as the detector's input. The camera is a picture in memory. So the copy
of a real camera's buffer, as large as what was sent, is not included.
"""

from __future__ import annotations

import argparse
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from edge import config_file, session
from edge.capture.raw_frames import luma
from edge.config import Config
from edge.data import Face, Frame
from edge.faces.crop import crop_faces
from edge.system.command import finish

UInt8 = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
FACE = Face(np.array([200, 150, 350, 300], np.float32), 1.0)  # a person at arm's length


def cameras() -> dict[str, tuple[UInt8, Callable[[UInt8], UInt8 | None]]]:
    """Name -> the data that a camera sends, and the call that converts it to a frame's image."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    scene = np.asarray(cv2.GaussianBlur(noise, (0, 0), 5), np.uint8)
    jpeg = np.asarray(cv2.imencode(".jpg", scene)[1], np.uint8)
    yuyv = np.repeat(scene[..., :1], 2, axis=2)
    nv12 = np.resize(scene[..., 0], (HEIGHT * 3 // 2, WIDTH))
    return {
        "MJPG as BGR": (jpeg, lambda raw: np.asarray(cv2.imdecode(raw, cv2.IMREAD_COLOR), np.uint8)),
        "MJPG as luma": (jpeg, lambda raw: luma(raw, "MJPG", HEIGHT, WIDTH)),
        "YUYV as BGR": (yuyv, lambda raw: np.asarray(cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_YUYV), np.uint8)),
        "YUYV as luma": (yuyv, lambda raw: luma(raw, "YUYV", HEIGHT, WIDTH)),
        "NV12 as BGR": (nv12, lambda raw: np.asarray(cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_NV12), np.uint8)),
        "NV12 as luma": (nv12, lambda raw: luma(raw, "NV12", HEIGHT, WIDTH)),
    }


def measure(config: Config) -> dict[str, list[int]]:
    """By camera: bytes sent, and bytes allocated for the frame, for the detection and for one crop."""
    table = {}
    with session.parts(config) as parts:
        for name, (raw, convert) in cameras().items():
            image = convert(raw)
            assert image is not None, "this picture has luma"
            frame = Frame(image, 0.0, 0)
            steps: list[Callable[[], object]] = [
                partial(convert, raw),
                partial(parts.detector.detect, frame),
                partial(crop_faces, frame, [FACE], parts.bundle.manifest.input),
            ]
            table[name] = [raw.size, *map(peak, steps)]
    return table


def peak(step: Callable[[], object]) -> int:
    """Peak bytes of ``step`` after a first run, which allocates what stays."""
    step()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per camera and kind of frame, in units of 1,000 bytes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.copies", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    args = parser.parse_args(argv)

    def work() -> None:
        print("| kB: camera, frame | sent | frame | detection | crop | sum of these three |")
        print("|---|---|---|---|---|---|")
        for name, (sent, *steps) in measure(config_file.load(None, args.set)).items():
            numbers = (f"{number / 1000:.0f}" for number in (sent, *steps, sum(steps)))
            print(f"| {name} | {' | '.join(numbers)} |", flush=True)

    return finish("benchmarks.studies.copies", work, "the rows above are complete")


if __name__ == "__main__":
    sys.exit(main())

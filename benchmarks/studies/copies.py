"""What is copied of each frame, from what a camera sent to the crop: ``python -m benchmarks.studies.copies``.

Bytes of memory that each step takes at its peak, as tracemalloc sees it: numpy's arrays, which OpenCV's
results are as well. Buffers that OpenCV keeps to itself are not seen, such as the picture that it decodes
before it copies that into an array; nor memory that is used again for every frame, as the detector's input.
The camera is a picture in memory: the copy of the camera's buffer into an array, which is as large as what
was sent, is not measured.
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

from edge import config, session
from edge.capture.raw_frames import luma
from edge.config import Config
from edge.data import Face, Frame
from edge.faces.crop import crop_faces
from edge.system.command import finish

UInt8 = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
FACE = Face(np.array([200, 150, 350, 300], np.float32), 1.0)  # somebody an arm's length away


def cameras() -> dict[str, tuple[UInt8, Callable[[UInt8], UInt8 | None]]]:
    """What cameras send, by name, and what makes a frame's image of it."""
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


def measure(settings: Config) -> dict[str, list[int]]:
    """By camera: bytes that it sends, and bytes taken for the frame, for the detection and for one crop."""
    bundle = session.bundle(settings)
    table = {}
    with session.detector(settings, bundle.folder) as detector:
        for name, (raw, picture) in cameras().items():
            image = picture(raw)
            assert image is not None, "a picture made here holds luma"
            frame = Frame(image, 0.0, 0)
            steps: list[Callable[[], object]] = [
                partial(picture, raw),
                partial(detector.detect, frame),
                partial(crop_faces, frame, [FACE], bundle.manifest),
            ]
            table[name] = [raw.size, *map(peak, steps)]
    return table


def peak(step: Callable[[], object]) -> int:
    """Bytes that ``step`` takes at its peak, once it has run before and has what it keeps for good."""
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
        for name, (sent, *taken) in measure(config.load(None, args.set)).items():
            numbers = (f"{number / 1000:.0f}" for number in (sent, *taken, sum(taken)))
            print(f"| {name} | {' | '.join(numbers)} |", flush=True)

    return finish("benchmarks.studies.copies", work, "the rows above are complete")


if __name__ == "__main__":
    sys.exit(main())

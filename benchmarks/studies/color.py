"""What a frame in color costs against one of luma: ``python -m benchmarks.studies.color``.

Median milliseconds of the steps that differ, from the camera's data to the network's input: the frame, the
detection and one crop of 96 pixels. Color and luma take turns, so that a busy machine slows both. The camera
is a picture in memory, as in ``benchmarks.studies.copies``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

from benchmarks.studies.copies import FACE, UInt8, cameras
from edge import config_file, session
from edge.config import Config
from edge.data import Frame
from edge.faces.crop import face_batch
from edge.manifest import FaceInput
from edge.protocols import FaceDetector
from edge.system.command import finish

INPUTS = {"BGR": FaceInput(96, 3, "imagenet", color="rgb"), "luma": FaceInput(96, 3, "imagenet")}
ROUNDS, WARM_UP = 200, 3
Convert = Callable[[UInt8], UInt8 | None]


def measure(config: Config, rounds: int = ROUNDS) -> dict[str, dict[str, list[float]]]:
    """By camera, for BGR and luma: median ms of frame, detection, crop, and all three."""
    ways, table = cameras(), {}
    with session.parts(config) as parts:
        for camera in ("MJPG", "YUYV", "NV12"):
            times: dict[str, list[list[float]]] = {kind: [] for kind in INPUTS}
            for _ in range(WARM_UP + rounds):
                for kind, face in INPUTS.items():
                    times[kind].append(_once(parts.detector, *ways[f"{camera} as {kind}"], face))
            table[camera] = {
                kind: [median(step) for step in zip(*rows[WARM_UP:], strict=True)]
                for kind, rows in times.items()
            }
    return table


def _once(detector: FaceDetector, raw: UInt8, convert: Convert, face: FaceInput) -> list[float]:
    """Milliseconds of each step for one frame, and of all three."""
    marks = [perf_counter()]
    image = convert(raw)
    assert image is not None, "this picture has luma"
    frame = Frame(image, 0.0, 0)
    marks.append(perf_counter())
    detector.detect(frame)
    marks.append(perf_counter())
    face_batch(frame, [FACE], face)
    marks.append(perf_counter())
    steps = [1000 * (after - before) for before, after in itertools.pairwise(marks)]
    return [*steps, sum(steps)]


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per camera and kind of frame, and how many times as long color takes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.color", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    args = parser.parse_args(argv)

    def work() -> None:
        print("| ms: camera, frame | frame | detection | crop | sum | of luma's |")
        print("|---|---|---|---|---|---|")
        for camera, kinds in measure(config_file.load(None, args.set)).items():
            for kind, times in kinds.items():
                numbers = " | ".join(f"{time:.2f}" for time in times)
                print(f"| {camera} as {kind} | {numbers} | {times[-1] / kinds['luma'][-1]:.2f} |", flush=True)

    return finish("benchmarks.studies.color", work, "the rows above are complete")


if __name__ == "__main__":
    sys.exit(main())

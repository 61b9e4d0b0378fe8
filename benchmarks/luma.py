"""What is lost where only the luma plane of a camera is used: ``python -m benchmarks.luma CLIP...``.

Each clip goes twice through detector, tracker and network, as BGR and as luma. Per clip: the share of the
faces of the BGR path that the luma path finds, too (IoU of at least 0.5), and how often both give the same
label on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from edge import build, config
from edge.capture.opencv import OpenCVSource
from edge.command import finish
from edge.config import Config
from edge.data import EmotionEstimate, Frame
from edge.faces.tracker import iou
from edge.pipeline import Pipeline

SAME_FACE = 0.5


def as_luma(frame: Frame) -> Frame:
    """The frame as a camera's luma plane; BT.601, full range."""
    return replace(frame, image=np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)))


def compare(clip: str, settings: Config) -> tuple[int, int, int]:
    """Estimates on BGR frames, those that the luma path has a face for, and those with the same label."""
    bundle = build.bundle(settings)
    found = kept = same = 0
    with OpenCVSource(clip) as source:
        parts = [(build.engine(settings, bundle), build.detector(settings, bundle.folder)) for _ in range(2)]
        colour, grey = (build.pipeline(settings, bundle, finder, step, []) for step, finder in parts)
        for frame in source.frames():
            for estimate, other in _pairs(colour, grey, frame):
                found += 1
                kept += other is not None
                same += other is not None and other.label == estimate.label
    return found, kept, same


def _pairs(
    colour: Pipeline, grey: Pipeline, frame: Frame
) -> list[tuple[EmotionEstimate, EmotionEstimate | None]]:
    others = grey.step(as_luma(frame))
    pairs = []
    for estimate in colour.step(frame):
        if estimate.fresh:
            by_overlap = sorted(others, key=lambda other: iou(other.box_xyxy, estimate.box_xyxy))
            best = by_overlap[-1] if by_overlap else None
            near = best is not None and iou(best.box_xyxy, estimate.box_xyxy) >= SAME_FACE
            pairs.append((estimate, best if near else None))
    return pairs


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per clip and one for all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.luma", description=__doc__.split("\n")[0])
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    args = parser.parse_args(argv)

    def work() -> None:
        settings = config.load(None, args.set)
        total = np.zeros(3, int)
        print("| clip | estimates on BGR | also found on luma | same label |\n|---|---|---|---|")
        for clip in args.clips:
            row = compare(clip, settings)
            total += row
            _show(clip.rpartition("/")[2], *row)
        _show("all", *total)

    return finish("benchmarks.luma", work, "the rows above are complete")


def _show(name: str, found: int, kept: int, same: int) -> None:
    print(f"| {name} | {found} | {_share(kept, found)} | {_share(same, kept)} |", flush=True)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    sys.exit(main())

"""What is lost where only the luma plane of a camera is used: ``python -m benchmarks.studies.luma CLIP...``.

Each clip goes twice through detector, tracker and network, as BGR and as luma. Per clip: the share of the
faces of the BGR path that the luma path finds, too (IoU of at least 0.5); how often both give the same label
on them; the same of warm estimates alone, as a face's first ones hang on the frame in which its track
began; and how often the likeliest expression is the same, whether it was sure enough for a label or not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from edge import config, session
from edge.capture.opencv import OpenCVSource
from edge.config import Config
from edge.data import EmotionEstimate, Frame
from edge.faces.tracker import iou
from edge.pipeline import Pipeline
from edge.system.command import finish

SAME_FACE = 0.5
Pair = tuple[EmotionEstimate, EmotionEstimate | None]


def as_luma(frame: Frame) -> Frame:
    """The frame as a camera's luma plane; BT.601, full range."""
    return replace(frame, image=np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)))


def pairs(clip: str, settings: Config) -> list[Pair]:
    """All fresh estimates on BGR frames, each with that of the luma path for this face, if there is one."""
    bundle = session.bundle(settings)
    with OpenCVSource(clip) as source:
        parts = [
            (session.engine(settings, bundle), session.detector(settings, bundle.folder)) for _ in range(2)
        ]
        color, gray = (session.pipeline(settings, bundle, finder, step, []) for step, finder in parts)
        return [pair for frame in source.frames() for pair in _pairs(color, gray, frame)]


def compare(clip: str, settings: Config) -> tuple[int, int, int]:
    """Estimates on BGR frames, those that the luma path has a face for, and those with the same label."""
    found = pairs(clip, settings)
    return len(found), len(_kept(found)), _same(found)


def _kept(found: Sequence[Pair]) -> list[tuple[EmotionEstimate, EmotionEstimate]]:
    return [(estimate, other) for estimate, other in found if other is not None]


def _same(found: Sequence[Pair]) -> int:
    return sum(estimate.label == other.label for estimate, other in _kept(found))


def _row(found: Sequence[Pair]) -> list[int]:
    """What ``compare`` counts, the last two of them for warm estimates, and how many agree but for doubt."""
    kept = _kept(found)
    warm = [pair for pair in kept if pair[0].warm]
    likeliest = sum(int(one.probabilities.argmax() == two.probabilities.argmax()) for one, two in kept)
    return [len(found), len(kept), _same(found), len(warm), _same(warm), likeliest]


def _pairs(color: Pipeline, gray: Pipeline, frame: Frame) -> list[Pair]:
    others = gray.step(as_luma(frame))
    found: list[Pair] = []
    for estimate in color.step(frame):
        if estimate.fresh:
            by_overlap = sorted(others, key=lambda other: iou(other.box_xyxy, estimate.box_xyxy))
            best = by_overlap[-1] if by_overlap else None
            near = best is not None and iou(best.box_xyxy, estimate.box_xyxy) >= SAME_FACE
            found.append((estimate, best if near else None))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per clip and one for all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.luma", description=__doc__.split("\n")[0]
    )
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    args = parser.parse_args(argv)

    def work() -> None:
        settings = config.load(None, args.set)
        total = np.zeros(6, int)
        print("| clip | estimates on BGR | also found on luma | same label | when warm | same likeliest |")
        print("|---|---|---|---|---|---|")
        for clip in args.clips:
            row = _row(pairs(clip, settings))
            total += row
            _show(clip.rpartition("/")[2], *row)
        _show("all", *total)

    return finish("benchmarks.studies.luma", work, "the rows above are complete")


def _show(name: str, found: int, kept: int, same: int, warm: int, warm_same: int, likeliest: int) -> None:
    shares = (_share(kept, found), _share(same, kept), _share(warm_same, warm), _share(likeliest, kept))
    print(f"| {name} | {found} | {' | '.join(shares)} |", flush=True)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    sys.exit(main())

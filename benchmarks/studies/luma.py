"""The loss from using a camera's luma plane only: ``python -m benchmarks.studies.luma CLIP...``.

Each clip runs twice through detector, tracker and network, as BGR and as luma. It prints the share of the BGR
path's faces that the luma path finds too (IoU of at least 0.5), and how often their labels agree. It repeats
the latter for warm estimates alone, as the first ones depend on the frame in which the track began. The last
column is how often the likeliest expression agrees, even if too uncertain for a label.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.scenes.frames import as_luma
from edge import config_file, session
from edge.config import Config
from edge.data import EmotionEstimate, Frame
from edge.faces.tracker import iou
from edge.pipeline import Pipeline
from edge.system.command import finish

SAME_FACE = 0.5
Pair = tuple[EmotionEstimate, EmotionEstimate | None]


def pairs(clip: str, config: Config) -> list[Pair]:
    """All fresh estimates on BGR frames, each with the luma path's estimate of that face, if there is one."""
    config = replace(config, source=replace(config.source, address=clip))
    with session.parts(config) as color, session.parts(config) as gray:
        paths = color.new_pipeline(), gray.new_pipeline()
        return [pair for frame in color.frames for pair in _pairs(*paths, frame)]


def counts(rows: Sequence[Pair]) -> list[int]:
    """Estimates on BGR, those with a face on luma, and those with the same label.

    Then the last two for warm estimates alone, and those with the same likeliest expression.
    """
    matched = [(estimate, other) for estimate, other in rows if other is not None]
    warm = [pair for pair in matched if pair[0].warm]
    likeliest = sum(int(one.probabilities.argmax() == two.probabilities.argmax()) for one, two in matched)
    same, same_warm = (sum(one.label == two.label for one, two in part) for part in (matched, warm))
    return [len(rows), len(matched), same, len(warm), same_warm, likeliest]


def _pairs(color: Pipeline, gray: Pipeline, frame: Frame) -> list[Pair]:
    others = gray.step(as_luma(frame))
    rows: list[Pair] = []
    for estimate in color.step(frame):
        if estimate.fresh:
            by_overlap = sorted(others, key=lambda other: iou(other.box_xyxy, estimate.box_xyxy))
            best = by_overlap[-1] if by_overlap else None
            near = best is not None and iou(best.box_xyxy, estimate.box_xyxy) >= SAME_FACE
            rows.append((estimate, best if near else None))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per clip and one for all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.luma", description=__doc__.split("\n")[0]
    )
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    args = parser.parse_args(argv)

    def work() -> None:
        config = config_file.load(None, args.set)
        total = np.zeros(6, int)
        print("| clip | estimates on BGR | also found on luma | same label | when warm | same likeliest |")
        print("|---|---|---|---|---|---|")
        for clip in args.clips:
            row = counts(pairs(clip, config))
            total += row
            _show(clip.rpartition("/")[2], *row)
        _show("all", *total)

    return finish("benchmarks.studies.luma", work, "the rows above are complete")


def _show(
    name: str, estimates: int, matched: int, same: int, warm: int, same_warm: int, likeliest: int
) -> None:
    shares = (
        _share(matched, estimates), _share(same, matched),
        _share(same_warm, warm), _share(likeliest, matched),
    )  # fmt: skip
    print(f"| {name} | {estimates} | {' | '.join(shares)} |", flush=True)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    sys.exit(main())

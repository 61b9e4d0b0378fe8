"""Views of the training faces, with the teachers' answers to them: made once, for all students."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.degrade import augment
from export.training import checkpoint

Images = npt.NDArray[np.uint8]
Answers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Views:
    """Views (V,N,S,S) uint8 of N faces, and answers (V,N,K), probabilities."""

    images: Images
    answers: Answers

    def draw(self, at: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Images, Answers]:
        """One view (B,S,S) of each face ``at`` (B,), mirrored or not, and the answers (B,K)."""
        view = rng.integers(0, len(self.images), len(at))
        images = self.images[view, at]
        mirrored = rng.random(len(at)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        return images, self.answers[view, at]


def make_views(images: Images, answer: Callable[[Images], Answers], count: int, folder: Path) -> Views:
    """``count`` random views of ``images`` (N,S,S) with ``answer(view)`` (N,K) to each.

    The answer holds for the mirrored view, too: let it be a mean over both. What lies in ``folder`` already
    is read, not made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen, answers = np.empty((count, *images.shape), np.uint8), []
    for number in range(count):
        seen[number], answered = _view(images, answer, number, folder / f"view-{number}.npz")
        answers.append(answered)
    return Views(seen, np.stack(answers))


def _view(
    images: Images, answer: Callable[[Images], Answers], number: int, path: Path
) -> tuple[Images, Answers]:
    if path.is_file():
        kept = checkpoint.load_arrays(path)
        return kept["images"], kept["answers"]
    started, rng = time.monotonic(), np.random.default_rng(number)
    seen = np.stack([augment(image, rng) for image in images])
    answers = answer(seen)
    checkpoint.save_arrays(path, images=seen, answers=answers)
    print(f"view {number + 1} answered in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return seen, answers

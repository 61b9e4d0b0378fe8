"""Hours of video without a face: places, things and animals, and people who are turned away or covered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from calibration import negatives
from calibration.scenes import scene

Uint8 = npt.NDArray[np.uint8]
FPS = 10.0  # as often as the network steps
SECONDS = 10


def empty(images: Uint8, rng: np.random.Generator, part: str, seconds: float) -> Iterator[Uint8]:
    """Clips (100,240,320) uint8 luma of 10 s at 10 frames a second, until there are ``seconds`` of them.

    In two of five nobody is there. In the others one to three people show the back of their heads, their
    hands or the crown of a bowed head: the stills (N,S,S) as ``negatives`` leaves them.
    """
    kinds = [negatives.LOSSES[kind] for kind in ("turns", "covered", "bows")]
    for _ in range(round(seconds / SECONDS)):
        chosen = images[rng.integers(0, len(images), 4)]
        lost = [kinds[int(rng.integers(3))](images.shape[1], rng, part)(one, 1.0).frame for one in chosen]
        place, _ = scene(np.stack(lost), rng, part)
        if rng.random() < 0.4:
            place.heads, place.places, place.sway = [], place.places[:0], place.sway[:0]
        count = round(SECONDS * FPS)
        yield np.stack([place.frame(at, count)[0] for at in range(count)])

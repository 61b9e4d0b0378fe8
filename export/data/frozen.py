"""The stills behind the frozen sets: FER+'s development fold in two halves that share no twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from export.data import ferplus
from export.data.halves import first_half

PARTS = ("development", "judging")


def stills(path: Path) -> dict[str, tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Faces (N,48,48) and labels (N,), -1 for none, of each of PARTS, from ``ferplus_webp.npz``.

    Both parts come from the fold that trains nothing; PublicTest is not touched. Whole twin groups go to one
    part. EdgeError where the file is another.
    """
    if not path.is_file():
        raise EdgeError(
            f"{path} is no file; pass the path of ferplus_webp.npz, from which the sets are generated"
        )
    data = ferplus.load(path)
    assert data.group is not None
    rows = np.flatnonzero(data.fold == 1)
    first = first_half(data.group[rows].astype(str))
    labels = ferplus.majority(data.votes[rows])
    chosen = {"development": first, "judging": ~first}
    return {part: (data.images[rows][chosen[part]], labels[chosen[part]]) for part in PARTS}

"""Faces made on demand are those that an array of all of them would hold."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny import manifest

from calibration.collect import Walk
from edge.manifest import parse
from edge.preprocess import normalize_crops
from export.parity.faces import Faces

MANIFEST = parse(manifest())
ROWS, STEPS = 3, 10


def both() -> tuple[Faces, np.ndarray]:
    rng, size = np.random.default_rng(0), MANIFEST.input.size
    lengths = (4, 10, 1)
    crops = [rng.integers(0, 256, (length, size, size)).astype(np.uint8) for length in lengths]
    walks = [Walk(one, rng.integers(0, len(one), STEPS)) for one in crops]
    return Faces(walks, MANIFEST), np.stack([normalize_crops(w.crops[w.at], MANIFEST) for w in walks])


FACES, ARRAY = both()
one_of = lambda length: st.one_of(  # noqa: E731
    st.integers(0, length - 1),
    st.slices(length).filter(lambda part: len(range(length)[part])),
    st.lists(st.integers(0, length - 1), min_size=1, max_size=4),
)


@given(rows=one_of(ROWS), steps=one_of(STEPS))
def test_it_is_indexed_as_an_array(rows, steps) -> None:
    expected = ARRAY[rows][steps] if isinstance(rows, int) else ARRAY[rows][:, steps]
    assert np.array_equal(FACES[rows, steps], expected)
    assert FACES.shape == ARRAY.shape
    assert len(FACES) == ROWS

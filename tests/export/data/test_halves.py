"""Faces to fit on and faces to measure on never meet."""

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.manifest import parse

pytestmark = pytest.mark.export

from export.data.halves import MIN_FACES, halves  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("halves")


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    named=st.booleans(),
    copies=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_group_and_no_picture_is_in_both_halves(folder, sizes, named, copies, seed) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)) * 7 - 3
    images = np.repeat(
        rng.integers(0, 256, (-(-len(groups) // copies), 4, 4)).astype(np.uint8), copies, axis=0
    )
    images, labels = images[: len(groups)], rng.integers(-1, 3, len(groups))
    rows = {"groups": groups.astype(str) if seed % 2 else groups} if named else {}
    np.savez(folder / "faces.npz", images=images, labels=labels, **rows)
    bundle = Bundle(folder, parse(tiny.manifest()))
    known = int((labels >= 0).sum())
    if known < 2 * MIN_FACES:
        with pytest.raises(EdgeError, match=f"at least {MIN_FACES} each"):
            halves(folder / "faces.npz", None, bundle)
        return
    if known < 2 * MIN_FACES + 60:  # it depends on how the groups fall
        return
    made = halves(folder / "faces.npz", None, bundle)
    first, second = made.fitted, made.held_out
    assert len(first.labels) + len(second.labels) == known
    assert not set(first.groups) & set(second.groups)
    assert min(len(first.labels), len(second.labels)) >= MIN_FACES
    if not named:
        pictures = [{image.tobytes() for image in half.images} for half in (first, second)]
        assert not pictures[0] & pictures[1]
    assert made.split == ("groups" if named else "pictures")

"""How many pixels YuNet gets: all of its input width, or as many as the faces that are followed need."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.data import Search
from edge.faces.yunet import YuNetDetector


def width(smallest: float | None, luma: bool = False, share: float = 1.0, most: int = 480) -> int:
    detector = SimpleNamespace(_input_width=most)
    return YuNetDetector._width(detector, Search(smallest, share), luma)


@pytest.mark.parametrize(
    ("smallest", "luma", "pixels"),
    [
        (None, False, 480),
        (0.9, False, 128),
        (0.2, False, 160),
        (0.1, False, 320),
        (0.01, False, 480),
        (None, True, 480),
        (0.4, True, 160),
        (0.2, True, 320),
        (0.1, True, 480),
    ],
)
def test_large_faces_need_fewer_pixels_and_on_luma_more(smallest, luma: bool, pixels: int) -> None:
    assert width(smallest, luma) == pixels


@given(st.none() | st.floats(1e-6, 10), st.booleans(), st.floats(0.1, 1.0), st.integers(32, 4096))
def test_never_more_than_is_allowed(smallest, luma: bool, share: float, most: int) -> None:
    assert 0 < width(smallest, luma, share, most) <= max(round(share * most), 1)

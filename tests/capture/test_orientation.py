"""Eight orientations: of a display matrix, and of the settings rotate and mirror."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.orientation import UPRIGHT, Orientation, chosen, from_matrix
from edge.data import Frame
from edge.errors import ConfigError

PICTURE = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_turned_clockwise_then_mirrored(rotate: int, mirror: bool, shape: tuple[int, ...]) -> None:
    picture = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    expected = np.rot90(picture, -rotate // 90)
    expected = expected[:, ::-1] if mirror else expected
    assert np.array_equal(chosen(rotate, mirror).turn(picture), expected)


def test_image_and_drawn_are_turned_alike() -> None:
    drawn = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    turned = chosen(90, False).turn_frame(Frame(PICTURE, 1.0, 2, "limited", drawn))
    assert np.array_equal(turned.image, np.rot90(PICTURE, -1))
    assert turned.drawn is not None
    assert np.array_equal(turned.drawn, np.rot90(drawn, -1))
    assert (turned.timestamp_s, turned.index, turned.luma_range) == (1.0, 2, "limited")
    frame = Frame(PICTURE, 0.0, 0)
    assert UPRIGHT.turn_frame(frame) is frame, "an upright frame costs nothing"


def test_other_angles_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"source\.rotate is 45, expected 0, 90, 180 or 270"):
        chosen(45, False)


@given(st.booleans(), st.booleans(), st.booleans(), st.integers(1, 1 << 16))
def test_a_matrix_moves_each_pixel_where_it_says(
    transposed: bool, flip_x: bool, flip_y: bool, scale: int
) -> None:
    across, down = (-scale if flip_x else scale), (-scale if flip_y else scale)
    a, b, c, d = (0, down, across, 0) if transposed else (across, 0, 0, down)
    matrix = struct.pack("=9i", a, b, 0, c, d, 0, 123, 456, 1 << 30)
    assert from_matrix(matrix) == Orientation(transposed, flip_x, flip_y)
    turned = from_matrix(matrix).turn(PICTURE)
    height, width = turned.shape
    for (y, x), value in np.ndenumerate(PICTURE):
        to_x, to_y = (y, x) if transposed else (x, y)
        at = (height - 1 - to_y if flip_y else to_y), (width - 1 - to_x if flip_x else to_x)
        assert turned[at] == value


@given(st.binary(max_size=40))
def test_any_bytes_give_an_orientation(matrix: bytes) -> None:
    assert from_matrix(matrix).turn(PICTURE).size == 6
    assert from_matrix(bytes(36)) == UPRIGHT

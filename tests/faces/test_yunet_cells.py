"""Faces from YuNet's outputs: the same from joint heads as from separate ones, and none from nonsense."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.faces.yunet_cells import TOP_K, best_cells, faces, of_heads, of_joint_heads

Float32 = npt.NDArray[np.float32]


def outputs(cells: int = 64) -> list[Float32]:
    """What the network gives where there is no face, in the order of its outputs."""
    sizes = [cells // shrunk for shrunk in (1, 4, 16)]
    return [np.zeros((1, size, width), np.float32) for size in sizes for width in (1, 1, 4, 10)]


def test_cells_that_are_no_box_are_left_out() -> None:
    heads = outputs()
    heads[0][0, :5] = heads[1][0, :5] = 0.9
    heads[2][0, 0, 2], heads[2][0, 1, 0], heads[2][0, 2, 3], heads[0][0, 3] = 800, np.nan, np.inf, np.nan
    assert [cell.place for cell in best_cells(of_heads(heads, 0.36))] == [4]


def test_only_the_best_cells_are_looked_at() -> None:
    heads = outputs(512)
    heads[1][:] = heads[5][:] = 1.0
    heads[0][0, :, 0] = np.linspace(0.5, 0.6, 512)
    heads[4][0, :7] = 0.99
    best = best_cells(of_heads(heads, 0.36))
    assert len(best) == TOP_K
    assert [cell.stride for cell in best[:8]] == [16] * 7 + [8]
    assert [cell.score for cell in best] == sorted((cell.score for cell in best), reverse=True)


def separate(joint: list[Float32]) -> list[Float32]:
    """The twelve outputs of YuNet's file, whose sigmoids do not overflow."""
    heads = []
    for output in joint:
        rows = output.reshape(1, 16, -1).transpose(0, 2, 1)
        scores = (0.5 + 0.5 * np.tanh(rows[..., :2].astype(np.float64) / 2)).astype(np.float32)
        heads += [scores[..., :1], scores[..., 1:], rows[..., 2:6], rows[..., 6:]]
    return heads


JOINT = st.tuples(*(
    arrays.arrays(np.float32, (1, 16, side, side), elements=st.floats(-6, 6, width=32)) for side in (4, 2, 1)
))  # fmt: skip


@given(JOINT, st.floats(0.01, 0.99))
def test_joint_heads_give_the_faces_of_separate_ones(joint, floor: float) -> None:
    found = faces(of_joint_heads(list(joint), floor), columns=32)
    expected = faces(of_heads(separate(list(joint)), floor), columns=32)
    scores = [row[-1] for row in expected]
    near = any(abs(score**2 - floor) < 1e-5 for score in [*scores, *(row[-1] for row in found)])
    ties = len({round(score, 5) for score in scores}) < len(scores)
    if not near and not ties:  # there float32 decides otherwise than float64
        assert np.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("floor", [0.0, 1.0, 0.36])
def test_numbers_of_any_size_are_no_fault(floor: float) -> None:
    joint = [np.full((1, 16, side, side), np.nan, np.float32) for side in (4, 2, 1)]
    joint[0][0, :2, 0, :3] = [[1e38, -1e38, np.inf], [1e38, -1e38, -np.inf]]
    joint[0][0, 2:, 0, :3] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = [cell.score for cell in best_cells(of_joint_heads(joint, floor))]
    assert scores[0] == 1.0
    assert len(scores) == (3 if floor == 0 else 1)

"""The label rule, soft targets and twins."""

import cv2
import numpy as np
import pytest

from edge.errors import EdgeError

pytestmark = pytest.mark.export
ferplus = pytest.importorskip("export.data.ferplus")


def votes(*row: int) -> np.ndarray:
    return np.array([row], np.uint8)


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ((6, 4, 0, 0, 0, 0, 0, 0, 0, 0), 0),  # 6 of 10
        ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), -1),  # no majority
        ((5, 4, 1, 0, 0, 0, 0, 0, 0, 0), 0),  # the single vote is noise: 5 of 9
        ((0, 0, 0, 0, 0, 0, 0, 8, 2, 0), 7),
        ((0, 0, 0, 0, 0, 0, 0, 2, 8, 0), -1),  # "unknown" won
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), -1),
    ],
)
def test_majority(row: tuple[int, ...], label: int) -> None:
    assert ferplus.majority(votes(*row))[0] == label


def test_soft_targets() -> None:
    target, usable = ferplus.soft_targets(votes(6, 3, 1, 0, 0, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(target[0, :2], [2 / 3, 1 / 3], atol=1e-6)
    assert usable[0]
    assert not ferplus.soft_targets(votes(0, 0, 0, 0, 0, 0, 0, 3, 0, 7))[1][0]


def test_twins_share_a_group() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 48, 48)).astype(np.uint8)
    images[4] = np.clip(images[1].astype(int) + 3, 0, 255)  # a brighter copy
    known = np.array([-1, -1, 9, -1, -1, 9])
    groups = ferplus.twin_groups(images, known)
    assert groups[1] == groups[4]
    assert groups[2] == groups[5]
    assert len(set(groups)) == 4


def test_a_copy_that_was_cropped_anew_is_a_lookalike_and_no_twin() -> None:
    import cv2

    rng = np.random.default_rng(0)
    photographs = [cv2.resize(rng.integers(0, 256, (6, 6)).astype(np.uint8), (60, 60)) for _ in range(4)]
    images = np.stack([photograph[4:52, 4:52] for photograph in photographs])
    images[3] = cv2.resize(photographs[0][4:53, 3:52], (48, 48))
    images[3] = np.clip(images[3] + rng.normal(0, 9, (48, 48)), 0, 255)
    assert len(set(ferplus.twin_groups(images, np.full(4, -1)))) == 4
    data = ferplus.FerPlus(images, np.zeros((4, 10), np.uint8), np.array([0, 1, 2, 2], np.int8))
    assert ferplus.lookalikes(data).tolist() == [False, True]


def test_the_data_sheet_counts_what_each_fold_holds() -> None:
    clear, nobody = votes(9, 1, 0, 0, 0, 0, 0, 0, 0, 0), votes(0, 0, 0, 0, 0, 0, 0, 0, 0, 10)
    happy = votes(0, 6, 4, 0, 0, 0, 0, 0, 0, 0)
    images, fold = np.zeros((3, 48, 48), np.uint8), np.array([0, 0, 2], np.int8)
    data = ferplus.FerPlus(images, np.concatenate([clear, nobody, happy]), fold, twins_left_out=5)
    sheet = ferplus.describe(data, ("neutral", "happiness"))
    assert sheet["twins_left_out"] == 5
    training, development, report = sheet["folds"].values()
    assert training == {
        "faces": 2,
        "clear_majority": {"neutral": 1, "happiness": 0},
        "no_clear_majority": 1,
        "usable_as_soft_target": 1,
        "largest_share_of_votes": 0.95,
    }
    assert development["faces"] == 0
    assert report["clear_majority"]["happiness"] == 1


@pytest.mark.parametrize("kind", ["text", "another archive", "cut archive"])
def test_another_file_is_refused_in_one_line(tmp_path, kind: str) -> None:
    path = tmp_path / "faces.npz"
    np.savez(path, images=np.zeros((4, 48, 48), np.uint8))
    if kind == "text":
        path.write_text("no archive")
    elif kind == "cut archive":
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EdgeError, match=r"is not ferplus_webp.npz, .*; pass --data its path"):
        ferplus.load(path)


@pytest.mark.parametrize("picture", [b"", b"no picture at all"])
def test_a_picture_that_cannot_be_decoded_is_named(tmp_path, picture: bytes) -> None:
    good = cv2.imencode(".webp", np.zeros((48, 48), np.uint8))[1].ravel()
    webp = np.concatenate([good, np.frombuffer(picture, np.uint8)])
    np.savez(
        tmp_path / "faces.npz", webp=webp, offsets=np.array([0, len(good), len(webp)]),
        votes=np.zeros((2, 10), np.uint8), split=np.zeros(2, np.uint8), duplicate_group=np.full(2, -1),
    )  # fmt: skip
    with pytest.raises(EdgeError, match="picture 1 cannot be decoded"):
        ferplus.load(tmp_path / "faces.npz")


def test_missing_file_names_the_option(tmp_path) -> None:
    with pytest.raises(EdgeError, match="--data"):
        ferplus.load(tmp_path / "none.npz")

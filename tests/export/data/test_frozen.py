"""The stills behind the frozen sets: two parts of the development fold that share no twins."""

import hashlib

import cv2
import numpy as np
import pytest

from export.data import ferplus, frozen

pytestmark = pytest.mark.export


def test_parts_are_of_the_development_fold_and_share_no_twins(tmp_path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 12, 12), np.uint8)
    twins = np.repeat(np.arange(200), 2)  # each picture has a known duplicate that looks different
    packed = [cv2.imencode(".webp", one, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].ravel() for one in images]
    votes = np.zeros((400, 10), np.uint8)
    votes[np.arange(400), np.arange(400) % 9] = 10
    path = tmp_path / "faces.npz"
    split = (np.arange(400) >= 360).astype(np.uint8)
    np.savez(
        path,
        webp=np.concatenate(packed),
        offsets=np.cumsum([0, *map(len, packed)]),
        votes=votes,
        split=split,
        duplicate_group=twins,
    )
    of = {hashlib.sha256(one.tobytes()).digest(): at for at, one in enumerate(ferplus.load(path).images)}
    data, parts = ferplus.load(path), frozen.stills(path)
    seen = {}
    for part, (faces, labels) in parts.items():
        rows = [of[hashlib.sha256(one.tobytes()).digest()] for one in faces]
        assert (data.fold[rows] == 1).all()
        np.testing.assert_array_equal(labels, ferplus.majority(data.votes[rows]))
        seen[part] = set(data.group[rows])
    assert not seen["development"] & seen["judging"]
    assert abs(len(seen["development"]) - len(seen["judging"])) <= 1
    assert sum(len(faces) for faces, _ in parts.values()) == (data.fold == 1).sum()

"""Labeled faces in an archive: what is taken and what is refused."""

import cv2
import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.errors import EdgeError
from edge.manifest import parse

pytestmark = pytest.mark.export


def test_labeled_faces_of_another_form_are_refused(tmp_path) -> None:
    from export.data import labeled

    bundle = bundles.load(bundles.REFERENCE)
    for images, labels in (((4, 48, 48, 3), 4), ((4, 48, 48), 3)):
        np.savez(tmp_path / "a.npz", images=np.zeros(images, np.uint8), labels=np.zeros(labels, int))
        with pytest.raises(EdgeError, match="expected gray faces"):
            labeled.need_labeled(tmp_path / "a.npz", bundle)
    for labels in (np.array(["fear", "anger"]), np.array([0.0, 1.0])):
        np.savez(tmp_path / "a.npz", images=np.zeros((2, 48, 48), np.uint8), labels=labels)
        with pytest.raises(EdgeError, match=r"labels \(N,\) of integers"):
            labeled.need_labeled(tmp_path / "a.npz", bundle)
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 48, 48), np.uint8), labels=np.array([0, 8]))
    with pytest.raises(EdgeError, match="labels from 0 to 8; expected 0 to 7"):
        labeled.need_labeled(tmp_path / "a.npz", bundle)


def test_labels_of_another_order_and_name_are_understood(tmp_path) -> None:
    from export.data import ferplus, labeled

    votes = np.zeros((40, 10), np.uint8)
    votes[np.arange(40), np.arange(40) % 8] = 9
    faces = np.random.default_rng(0).integers(0, 256, (40, 48, 48)).astype(np.uint8)
    packed = [cv2.imencode(".webp", face, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].ravel() for face in faces]
    np.savez(
        tmp_path / "faces.npz", webp=np.concatenate(packed), offsets=np.cumsum([0, *map(len, packed)]),
        votes=votes, split=np.repeat([0, 1], 20), duplicate_group=np.full(40, -1),
    )  # fmt: skip
    other = bundles.Bundle(tmp_path, parse(tiny.manifest(labels=["Angry", "happy", "calm", "neutral"])))
    data = labeled.need_labeled(tmp_path / "faces.npz", other)
    wanted = [ferplus.LABELS[k] for k in np.arange(20, 40) % 8]
    names = {"anger": 0, "happiness": 1, "neutral": 3}
    assert data.labels.tolist() == [names.get(name, -1) for name in wanted]
    dev = labeled.need_labeled(tmp_path / "faces.npz", other, choosing=True)
    assert 0 < len(dev.labels) < 20
    assert not (dev.images[:, None] == data.images[None]).all(axis=(2, 3)).any()

"""A student learns what its teacher says of the very views it sees."""

from dataclasses import replace

import numpy as np
import pytest

from edge import bundle as bundles
from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def test_a_bundle_answers_with_its_first_step(data) -> None:
    from edge.engines.golden import roll
    from edge.engines.ort import OrtEngine
    from edge.preprocess import normalize
    from export.train.batches import INPUT
    from export.train.teachers import load_teacher

    bundle = bundles.load(bundles.REFERENCE)
    told = load_teacher(bundles.REFERENCE)(torch.from_numpy(normalize(data.images[:5], INPUT)))
    logits = roll(OrtEngine(bundle.model("fp32")), bundle, data.images[:5, None])[:, 0]
    expected = torch.from_numpy(logits / bundle.manifest.temperature).float().softmax(1)
    torch.testing.assert_close(told, expected, rtol=0, atol=1e-5)


def test_a_stage_answers_with_its_averaged_weights(data, recipe, tmp_path) -> None:
    from edge.preprocess import normalize
    from export.train.batches import INPUT
    from export.train.frames import predict, train_frames
    from export.train.teachers import load_teacher, name

    network = train_frames(data, recipe, tmp_path)
    told = load_teacher(tmp_path)(torch.from_numpy(normalize(data.images, INPUT)))
    expected = torch.from_numpy(predict(network, data.images)).softmax(1)
    torch.testing.assert_close(told, expected, rtol=0, atol=1e-5)
    assert name(tmp_path) != name(bundles.REFERENCE)


def test_a_view_has_the_answer_of_its_teacher_and_a_picture_without_a_face_has_none(data, recipe) -> None:
    from export.train.batches import batches

    def teacher(faces):
        return torch.stack([faces.mean(dim=(1, 2, 3)), faces.amax(dim=(1, 2, 3))], 1).repeat(1, 4)

    targets, even = np.eye(8, dtype=np.float32)[np.arange(120) % 8], np.full(120, 1 / 120)
    taught = replace(recipe, batch=60, distil=1.0, no_faces=0.3)
    [(faces, told), (again, _)] = list(batches(data.images, targets, None, even, taught, 0, teacher))
    strange = (told == 1 / 8).all(dim=1)
    assert 5 < strange.sum() < 40
    torch.testing.assert_close(told[~strange], teacher(faces)[~strange])
    assert not torch.equal(faces, again)


def test_training_with_a_teacher_is_another_recipe(data, recipe, tmp_path) -> None:
    from export.train.frames import train_frames
    from export.train.train import taught

    alone, none = taught(recipe, None)
    with_teacher, teacher = taught(replace(recipe, distil=0.5), bundles.REFERENCE)
    assert none is None
    assert with_teacher != alone
    train_frames(data, with_teacher, tmp_path, teacher=teacher)
    with pytest.raises(EdgeError, match="another recipe"):
        train_frames(data, alone, tmp_path)


def test_a_folder_without_a_network_is_one_line(tmp_path) -> None:
    from export.train.teachers import load_teacher

    with pytest.raises(EdgeError, match=r"neither manifest.json nor frames.pt; pass --teacher"):
        load_teacher(tmp_path)
    (tmp_path / "frames.pt").write_bytes(b"damaged")
    with pytest.raises(EdgeError, match="is damaged"):
        load_teacher(tmp_path)

"""The output that tells a face from none: its material, its training, and the bundle that it is added to."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from edge import bundle as bundles
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")


def picture(seed: int, side: int = 48) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 220, (6, 6)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def pictures():
    from export.train.face_crops import Pictures

    return Pictures(np.stack([picture(seed) for seed in range(6)]), [picture(9, 90), picture(10, 40)])


def test_crops_are_of_the_size_of_a_still_and_drawn_from_the_seed_alone(pictures) -> None:
    from export.train.face_crops import faces
    from export.train.no_face_crops import KINDS, no_faces

    def made() -> list[np.ndarray]:
        rng = np.random.default_rng(5)
        return [faces(pictures, 12, rng), *(no_faces(pictures, kind, 4, rng) for kind in KINDS)]

    first, second = made(), made()
    assert [part.shape[1:] for part in first] == [(48, 48)] * (1 + len(KINDS))
    assert [len(part) for part in first] == [12, *[4] * len(KINDS)]
    for a, b in zip(first, second, strict=True):
        assert a.dtype == np.uint8
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_a_cover_hides_its_share_of_the_crop(pictures, share: float) -> None:
    from export.train.face_crops import cover

    black, white = np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8)
    for seed in range(40):
        over = [cover(below, share, pictures, np.random.default_rng(seed)) for below in (black, white)]
        hidden = (over[1].astype(int) - over[0] < 128).mean()
        assert abs(hidden - share) < 0.06, "its edge is soft"


def test_photographs_are_read_in_order_and_a_folder_without_any_is_named(tmp_path) -> None:
    from export.train.face_crops import photographs

    with pytest.raises(EdgeError, match="holds no picture of 32 pixels or more"):
        photographs(tmp_path)
    for name, side in (("b.png", 40), ("a.jpg", 64), ("small.png", 16)):
        cv2.imwrite(str(tmp_path / name), picture(1, side))
    assert [found.shape for found in photographs(tmp_path)] == [(64, 64), (40, 40)]
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(EdgeError, match=r"cannot be read .*; remove it"):
        photographs(tmp_path)


def test_a_branch_learns_to_tell_features_apart() -> None:
    from export.train.face_branch import train_branch

    rng = np.random.default_rng(0)
    shown = np.arange(400) % 2 == 0
    maps = rng.uniform(0, 2, (400, 3, 12, 12)).astype(np.float16)
    maps[shown, 1, 3:6] += 2
    branch = train_branch(maps, shown, 6, 0)
    with torch.inference_mode():
        scores = branch(torch.from_numpy(maps.astype(np.float32)))[:, 0].numpy()
    assert ((scores > 0) == shown).mean() > 0.95


def test_the_graph_gives_what_the_branch_gives_and_the_same_logits(tmp_path) -> None:
    from export.graph.states import tensors
    from export.graph.to_onnx import export_step
    from export.train.face_branch import OUTPUT, FaceBranch, with_branch
    from export.train.networks import StreamingNetwork

    torch.manual_seed(0)
    network = StreamingNetwork("plain-m", "cnn-gru", 8).eval()
    export_step(network, tensors(network.state), (1, 48, 48), tmp_path / "a.onnx")
    model = onnx.load(str(tmp_path / "a.onnx"))
    branch = FaceBranch(96, 12)
    for norm in (branch.first[1], branch.second[1]):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.running_mean, -1, 1)
    branch.eval()
    grown = with_branch(model, branch)
    onnx.save_model(grown, str(tmp_path / "b.onnx"))
    faces = np.random.default_rng(0).standard_normal((3, 1, 48, 48)).astype(np.float32)
    feeds = {"face": faces, "state_h": np.zeros((3, 8), np.float32)}
    before, after = (OrtEngine(tmp_path / f"{name}.onnx").run(feeds) for name in "ab")
    np.testing.assert_array_equal(after["logits"], before["logits"])
    with torch.inference_mode():
        maps = network.encoder.layers[:-1](network_grid(faces))
        expected = branch(maps).numpy()
    # Sums in another order, of some hundred terms of size 1.
    np.testing.assert_allclose(after[OUTPUT], expected, atol=1e-4)
    with pytest.raises(EdgeError, match="has an output 'face_logit' already"):
        with_branch(grown, branch)


def network_grid(faces: np.ndarray):
    from export.train.networks import to_grid

    return to_grid(torch.from_numpy(faces))


def test_a_bundle_gets_the_output_its_threshold_and_all_precisions(tmp_path, data) -> None:
    from edge.recognition.face_check import FaceCheck
    from export.train.face_check import FaceCheckRecipe, add_face_check, run

    folder = tmp_path / "bundle"
    shutil.copytree(bundles.REFERENCE, folder)
    before = bundles.load(folder)
    recipe = FaceCheckRecipe(faces=60, no_faces=80, dev_share=0.5, epochs=1)
    figures = add_face_check(before, data, [picture(9, 90)], [picture(10, 90)], recipe)
    after = bundles.load(folder)
    check = after.manifest.face_check
    assert (check.output, check.threshold) == ("face_logit", figures["threshold"])
    assert check.starts_at == figures["starts_at"] >= check.threshold
    engine = OrtEngine(after.model("fp32"))
    outputs = run(engine, after, data.images[:9])
    was = run(OrtEngine(bundles.load().model("fp32")), before, data.images[:9], ["logits"])
    np.testing.assert_array_equal(outputs["logits"], was["logits"])
    passed = FaceCheck(check).faces(outputs, [False] * 9)
    assert passed == [score >= check.threshold for score in outputs["face_logit"][:, 0]]
    assert set(figures["kinds"]) >= {"face", "shifted", "hair"}

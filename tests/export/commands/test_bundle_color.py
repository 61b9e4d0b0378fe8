"""Networks for color: `emotion-export bundle --color`, and whether the proof would see a wrong channel."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration import program as calibrate
from edge import bundle as bundles
from edge.engines.golden import reproduces
from edge.engines.ort import OrtEngine
from edge.manifest import Manifest

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from windows import Recipe, build  # noqa: E402

from export import program  # noqa: E402

TOLD = ["--labels", "a,b,c", "--normalize", "imagenet", "--step-hz", "10"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A window for three channels, one for one, and gray sequences of cartoons."""
    from export.bundle.golden import draw

    path = tmp_path_factory.mktemp("color")
    for channels in (1, 3):
        onnx.save_model(build(Recipe(channels=channels)), str(path / f"{channels}.onnx"))
    np.savez(path / "set.npz", crops=draw(8, 40, np.random.default_rng(0)))
    return path


def make(folder: Path, name: str, *more: str) -> Manifest:
    given = ["--onnx", str(folder / "3.onnx"), *TOLD, "--data", str(folder / "set.npz")]
    assert program.main(["bundle", *given, *more, "-o", str(folder / name)]) == 0
    return bundles.load(folder / name).manifest


@pytest.fixture(scope="module")
def rgb(folder: Path) -> Path:
    make(folder, "rgb")
    return folder / "rgb"


def test_three_channels_are_rgb_unless_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, color, told in (
        ((), "rgb", "faces in color (RGB), or gray where a source has no color; pass --color bgr or gray"),
        (("--color", "bgr"), "bgr", "faces in color (BGR), or gray where a source has no color\n"),
        (("--color", "gray"), "gray", "gray faces, the same in each of its three channels\n"),
    ):
        assert make(folder, f"told-{color}", *more).input.color == color
        assert f"the network gets {told}" in capsys.readouterr().err
    given = [TOLD, ["--data", str(folder / "set.npz"), "--color", "rgb", "-o", str(folder / "one")]]
    line = ["bundle", "--onnx", str(folder / "1.onnx"), *given[0], *given[1]]
    line[line.index("imagenet")] = "unit"
    assert program.main(line) == 2
    told = capsys.readouterr().err
    assert "--color rgb needs 3 channels, but the network takes 1" in told
    assert not (folder / "one").exists()


def test_golden_outputs_see_swapped_channels_and_luma_in_all(rgb: Path) -> None:
    loaded = bundles.load(rgb)
    crops = np.load(rgb / "golden.npz")["crops"]
    assert crops.shape == (64, 12, 8, 8, 3)
    assert len({tuple(np.argsort(crop.mean((0, 1, 2)))) for crop in crops}) > 2, "in several tints"
    with OrtEngine(loaded.model("fp32")) as engine:
        assert reproduces(engine, loaded).passed
        face = loaded.manifest.input
        swapped = replace(loaded, manifest=replace(loaded.manifest, input=replace(face, color="bgr")))
        assert not reproduces(engine, swapped).passed


def test_the_proof_and_verify_look_at_faces_in_color(folder: Path, rgb: Path) -> None:
    from calibration.collect import load_walks

    manifest = bundles.load(rgb).manifest
    walks = load_walks(str(folder / "set.npz"), manifest, 4, 10)
    assert {walk.crops.shape[3:] for walk in walks} == {(3,)}
    means = np.array([walk.crops.mean((0, 1, 2)) for walk in walks])
    assert (np.ptp(means, axis=1) > 20).all(), "each channel has another gain"
    assert len({tuple(row.argsort()) for row in means}) > 1
    line = ["verify", str(rgb), "--data", str(folder / "set.npz"), "--reference", str(folder / "3.onnx")]
    assert program.main(line) == 0


def test_colors_of_the_data_are_kept(tmp_path: Path, rgb: Path) -> None:
    from calibration.collect import load_sequences_of, load_walks

    manifest = bundles.load(rgb).manifest
    colors = np.random.default_rng(0).integers(0, 256, (2, 12, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "colors.npz", crops=colors)
    walks = load_walks(str(tmp_path / "colors.npz"), manifest, 2, 12)
    assert all(np.array_equal(walk.crops, crops) for walk, crops in zip(walks, colors, strict=True))
    stills = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "stills.npz", images=stills, labels=np.arange(20) % 3)
    made = load_sequences_of(str(tmp_path / "stills.npz"), manifest)
    assert made[0].shape[1:] == (8, 8, 3)
    assert max(np.ptp(part.astype(int), axis=-1).max() for part in made) > 20
    gray = load_sequences_of(str(tmp_path / "colors.npz"), bundles.load(bundles.REFERENCE).manifest)
    assert gray[0].shape == (12, 8, 8)
    np.savez(tmp_path / "odd.npz", crops=colors[..., :2])
    with pytest.raises(Exception, match=r"expected uint8 \(T,S,S\) or \(T,S,S,3\)"):
        load_sequences_of(str(tmp_path / "odd.npz"), manifest)


def test_ranges_are_those_of_faces_in_color(
    tmp_path: Path, rgb: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    stills = rng.integers(0, 256, (40, 8, 8, 3), np.uint8)
    stills[..., 2] //= 8  # next to no blue
    np.savez(tmp_path / "stills.npz", images=stills, labels=np.arange(40) % 3)
    words = ["collect", str(tmp_path / "stills.npz"), "--consent", "generated"]
    assert calibrate.main([*words, "-o", str(tmp_path / "set"), "--bundle", str(rgb)]) == 0
    assert "gray" not in caplog.text
    given = ["ranges", str(rgb), str(tmp_path / "set"), "-o", str(tmp_path / "ranges.json")]
    assert calibrate.main(given) == 0
    low, high = json.loads((tmp_path / "ranges.json").read_text())["tensors"]["face"]
    assert low == pytest.approx(-0.485 / 0.229, abs=0.01), "red and green from 0 on"
    assert high < (1 - 0.406) / 0.225, "and no white in blue"
    assert calibrate.main([*words, "-o", str(tmp_path / "gray")]) == 0  # for the reference bundle
    assert calibrate.main(["ranges", str(rgb), str(tmp_path / "gray"), "-o", str(tmp_path / "r.json")]) == 2
    assert (
        "holds gray faces, but the network takes color; collect them with --bundle" in capsys.readouterr().err
    )

"""Bundles: hashes before parsers, and errors that name file, fault and fix."""

import json
from pathlib import Path

import pytest
import tiny

from edge import bundle
from edge.config import DetectorConfig
from edge.errors import BundleError
from edge.faces.detectors import choose
from edge.system.hashing import sha256


def test_a_good_bundle_loads(tmp_path: Path) -> None:
    loaded = bundle.load(tiny.write(tmp_path / "b"))
    assert loaded.labels == ("calm", "glad", "cross")
    assert loaded.state[0].shape == (2,)
    assert loaded.model("fp32").is_file()


def test_one_flipped_bit_is_refused(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    model = folder / "model.fp32.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx does not match its manifest: sha256"):
        bundle.load(folder)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/b.onnx", ".hidden", ""])
def test_files_outside_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    folder = tiny.write(tmp_path / "b")
    text = (folder / "manifest.json").read_text().replace("model.fp32.onnx", path)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="path"):
        bundle.load(folder)


def test_missing_folder_missing_file_and_broken_json(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle at"):
        bundle.load(tmp_path)
    folder = tiny.write(tmp_path / "b")
    (folder / "model.fp32.onnx").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.load(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="export the bundle again"):
        bundle.load(folder)


def test_an_unknown_precision_lists_the_known_ones(tmp_path: Path) -> None:
    loaded = bundle.load(tiny.write(tmp_path / "b"))
    with pytest.raises(BundleError, match="no precision 'int3'; choose one of fp32"):
        loaded.model("int3")


def test_another_detector_in_a_bundle_is_not_parsed(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "bundle")
    (folder / "face_detection_yunet_2023mar.onnx").write_bytes(b"another network")
    with pytest.raises(BundleError, match="is not the YuNet file"):
        choose(DetectorConfig(), folder)


def test_a_bundle_of_format_1_still_loads(tmp_path: Path) -> None:
    """It held its figures itself, and spelled as the British do."""
    folder = tiny.write(tmp_path / "b")
    path = folder / "manifest.json"
    old = json.loads(path.read_text()) | {"format": 1, "evaluation": {"macs": 1}, "training": {"seed": 2}}
    old["input"] = {**old["input"], "normalisation": "standardise"}
    del old["input"]["normalization"]
    path.write_text(json.dumps(old))
    loaded = bundle.load(folder)
    assert loaded.manifest.input.normalization == "standardize"
    assert loaded.record() == {"figures": {"macs": 1}, "training": {"seed": 2}}
    again = json.loads(json.dumps(loaded.manifest.to_dict()))
    assert again == json.loads(tiny.write(tmp_path / "c").joinpath("manifest.json").read_text()) | {
        "input": {**again["input"], "normalization": "standardize"}
    }


def test_the_record_beside_the_manifest_has_a_hash_of_its_own(tmp_path: Path) -> None:
    record = tmp_path / "b" / "evaluation.json"
    record.parent.mkdir()
    record.write_text('{"figures": {"macs": 1}}')
    entry = {"path": record.name, "sha256": sha256(record)}
    folder = tiny.write(tmp_path / "b", evaluation=entry)
    assert bundle.load(folder).record() == {"figures": {"macs": 1}}
    record.write_text('{"figures": {"macs": 2}}')
    with pytest.raises(BundleError, match=r"evaluation\.json does not match its manifest"):
        bundle.load(folder)


def test_the_manifest_that_ships_is_short() -> None:
    assert len((bundle.REFERENCE / "manifest.json").read_text().splitlines()) <= 120


def test_a_file_in_place_of_a_bundle_is_called_a_file(tmp_path: Path) -> None:
    manifest = tiny.write(tmp_path / "b") / "manifest.json"
    with pytest.raises(BundleError, match=r"manifest\.json is a file, expected the folder of a bundle"):
        bundle.load(manifest)

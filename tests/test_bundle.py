"""Bundles: hashes before parsers, and errors that name file, fault and fix."""

import json
import os
from pathlib import Path

import pytest
import tiny

from edge import bundle
from edge.config import DetectorConfig, LimitsConfig
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"license": "ok\nemotion-edge: ERROR: forged"}, "license is .*expected printable"),
        ({"license": "ok \x1b[2J"}, "license is .*expected printable"),
        ({"version": "1\r\x1b[31m"}, "version is .*expected printable"),
        ({"version": "\u202e0.1"}, "version is .*expected printable"),
        ({"name": "abc\n"}, "name is 'abc.n', expected a match"),
        ({"labels": ["calm", "\ud800x", "cross"]}, "surrogates not allowed"),
        ({"labels": ["calm", "calm", "cross"]}, r"labels contains 'calm' twice"),
        ({"labels": ["calm", "", "cross"]}, r"labels\[1\] is empty"),
        ({"labels": ["calm", " glad", "cross"]}, "' glad' begins or ends with a space"),
        ({"labels": ["calm", "x" * 65, "cross"]}, r"labels\[1\] has 65 characters, expected at most 64"),
        ({"format": True}, "format is True, expected one of"),
        (
            {"input": tiny.manifest()["input"] | {"normalization": "imagenet"}},
            "input.channels is 1, but .* imagenet needs 3",
        ),
        (
            {"input": tiny.manifest()["input"] | {"color": "rgb"}},
            "input.channels is 1, but the color rgb needs 3",
        ),
        ({"input": tiny.manifest()["input"] | {"color": "yuv"}}, "input.color is 'yuv', expected one of"),
        ({"temperature": float("nan")}, "NaN is no number in JSON"),
        ({"temperature": 1e-9}, "temperature is 1e-09, expected at least 0.01"),
        ({"step_hz": 1e12}, "step_hz is 1000000000000.0, expected at most 1000"),
        ({"state": [{"input": "face", "output": "y", "shape": [2]}]}, "two tensors have the input 'face'"),
        ({"state": [{"input": "h", "output": "y", "shape": [99999, 99999]}]}, "9,999,800,001 values"),
        (
            {"state": [{"input": f"h{at}", "output": f"y{at}", "shape": [2**20]} for at in range(5)]},
            "its states and explanations have 5,242,880 values per face, at most 4,194,304",
        ),
        ({"face_check": {"output": "logits", "threshold": 0}}, "two tensors have the output 'logits'"),
        ({"face_check": {"output": "y", "threshold": 1e9}}, "threshold is 1000000000.0, expected at most"),
        ({"face_check": {"output": "y"}}, "face_check.threshold is missing"),
    ],
)
def test_a_manifest_that_promises_the_impossible_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    folder = tiny.write(tmp_path / "b")
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleError, match=reason) as caught:
        bundle.load(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"license": "licence\u00a0: MIT"},
        {"license": "\u975e\u5546\u7528\u3000\u306e\u307f"},
        {"labels": ["\u0645\u06cc\u200c\u062e\u0646\u062f\u062f", "\U0001f469\u200d\U0001f4bb", "\u00e9mu"]},
        {"labels": ["calm", "glad", "\U0001fae8"]},  # of Unicode 15, which Python 3.11 does not know
    ],
)
def test_words_of_every_language_load(tmp_path: Path, change: dict[str, object]) -> None:
    bundle.load(tiny.write(tmp_path / "b", **change))


@pytest.mark.parametrize("name", ["manifest.json", "model.fp32.onnx"])
def test_pipes_links_and_huge_files_are_refused_at_once(tmp_path: Path, name: str) -> None:
    folder = tiny.write(tmp_path / "b")
    path = folder / name
    path.rename(tmp_path / "real")
    os.mkfifo(path)
    with pytest.raises(BundleError, match=f"{name} is a named pipe"):
        bundle.load(folder)
    path.unlink()
    path.symlink_to(tmp_path / "real")
    with pytest.raises(BundleError, match=f"{name} is a link"):
        bundle.load(folder)
    path.unlink()
    path.touch()
    os.truncate(path, 3 << 30)
    with pytest.raises(BundleError, match=rf"{name} has 3,221,225,472 bytes.*\[limits\]"):
        bundle.load(folder)


def test_limits_are_settable(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx has .* bytes, at most 100 are read"):
        bundle.load(folder, limits=LimitsConfig(model_mb=0.0001))


def test_a_model_that_changed_after_the_check_is_not_parsed(tmp_path: Path) -> None:
    loaded = bundle.load(tiny.write(tmp_path / "b"))
    good = loaded.read_model("fp32")
    loaded.model("fp32").write_bytes(good[:-1] + b"x")
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx does not match its manifest"):
        loaded.read_model("fp32")


def test_color_is_kept_and_gray_is_not_written(tmp_path: Path) -> None:
    """A manifest without it was proven with luma in every channel, and so is read as gray."""
    for number, (given, read) in enumerate(
        (({}, "gray"), ({"color": "gray"}, "gray"), ({"color": "bgr"}, "bgr"))
    ):
        face = {**tiny.manifest()["input"], "channels": 3, **given}
        manifest = bundle.load(tiny.write(tmp_path / str(number), input=face)).manifest
        assert manifest.input.color == read
        assert manifest.to_dict()["input"].get("color", "gray") == read
        assert ("color" in manifest.to_dict()["input"]) == (read != "gray")

"""A bundle appears at once or not at all, in today's format."""

import json
from pathlib import Path

import pytest
import tiny
from full_disk import full_disk

from edge import bundle
from edge.errors import BundleError
from edge.manifest import parse
from edge.system.hashing import sha256
from export.__main__ import main
from export.bundle.write import draft, write_bundle


def fill(folder, **changes):
    (folder / "model.fp32.onnx").write_bytes(tiny.MODEL)
    return bundle.Bundle(folder, parse(tiny.manifest(**changes)))


def test_hashes_are_added_and_the_old_bundle_is_replaced(tmp_path) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    first = bundle.load(target)
    assert len(first.manifest.files["fp32"].sha256) == 64
    write_bundle(target, lambda folder: fill(folder, version="2"))
    assert bundle.load(target).manifest.version == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("fault", ["raises", "invalid", "no step"])
def test_a_fault_leaves_the_old_bundle_and_no_litter(tmp_path, fault: str) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)

    def bad(folder):
        if fault == "raises":
            raise KeyboardInterrupt
        if fault == "invalid":
            return fill(folder, labels=[])
        made = fill(folder)
        (folder / "model.fp32.onnx").write_bytes(tiny.MODEL + b"\xca\x01\x00")  # a function, which is empty
        return made

    with pytest.raises((KeyboardInterrupt, BundleError)):
        write_bundle(target, bad)
    assert bundle.load(target).manifest.version == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_working_folder_itself_can_be_replaced(tmp_path, monkeypatch) -> None:
    write_bundle(tmp_path / "b", fill)
    monkeypatch.chdir(tmp_path / "b")
    write_bundle(Path("."), lambda folder: fill(folder, version="2"))
    assert bundle.load(tmp_path / "b").manifest.version == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_stop_between_the_two_renames_brings_the_old_bundle_back(tmp_path, monkeypatch) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    rename, calls = Path.rename, []

    def stop_at_the_second(self, to):
        calls.append(to)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(target, lambda folder: fill(folder, version="2"))
    assert bundle.load(target).manifest.version == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_copy_of_read_only_files_can_be_written_to(tmp_path) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    for file in target.iterdir():
        file.chmod(0o444)

    def again(folder):
        draft(bundle.load(target), folder)
        assert (folder / "model.fp32.onnx").stat().st_mode & 0o200
        return fill(folder, version="2")

    write_bundle(target, again)
    assert bundle.load(target).manifest.version == "2"


def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(BundleError, match="is not a bundle"):
        write_bundle(tmp_path / "photos", fill)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_web_page_has_a_manifest_too(tmp_path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text('{"name": "my site", "icons": []}')
    with pytest.raises(BundleError, match="is not a bundle"):
        write_bundle(tmp_path / "site", fill)
    assert "my site" in (tmp_path / "site" / "manifest.json").read_text()


def test_what_lies_beside_a_bundle_stays_and_its_own_files_go(tmp_path) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    (target / "golden.npz").write_bytes(b"of the old bundle")
    (target / "notes.txt").write_text("mine")
    (target / "runs").mkdir()
    (target / "runs" / "link").symlink_to("nowhere")
    write_bundle(target, lambda folder: fill(folder, version="2"))
    assert bundle.load(target).manifest.version == "2"
    assert (target / "notes.txt").read_text() == "mine"
    assert (target / "runs" / "link").is_symlink()
    assert not (target / "golden.npz").exists()


def test_on_a_full_disk_the_old_bundle_stays(tmp_path) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    with full_disk(100), pytest.raises(BundleError, match=r"b cannot be written \(.*\); free space"):
        write_bundle(target, lambda folder: fill(folder, version="2"))
    assert bundle.load(target).manifest.version == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.export
def test_a_bundle_of_format_1_is_upgraded(tmp_path) -> None:
    """Figures leave the manifest, the card gets today's name, networks stay as they are."""
    pytest.importorskip("torch", reason="emotion-export asks for it at its start")
    folder = tiny.write(
        tmp_path / "old",
        format=1,
        input={"size": 8, "channels": 1, "normalisation": "standardise",
               "crop": {"scale": 1.0, "align": "none"}},
        card={"path": "MODEL_CARD.md"}, picture={"path": "MODEL_CARD.png"},
        evaluation={"macs": 5}, training={"trial": False},
        proof={"max_abs": 0.0, "agreement": [{"reset": "never", "step": 1, "n": 1, "same_label": 1.0}]},
    )  # fmt: skip
    (folder / "MODEL_CARD.md").write_text("see ![](MODEL_CARD.png)")
    (folder / "MODEL_CARD.png").write_bytes(b"png")
    document = json.loads((folder / "manifest.json").read_text())
    for key in ("card", "picture"):
        document[key]["sha256"] = sha256(folder / document[key]["path"])
    (folder / "manifest.json").write_text(json.dumps(document))
    assert main(["upgrade", str(folder)]) == 0
    upgraded = bundle.load(folder)
    assert json.loads((folder / "manifest.json").read_text())["format"] == 2
    assert upgraded.manifest.input.normalization == "standardize"
    assert upgraded.manifest.proof == {"max_abs": 0.0}
    record = upgraded.record()
    assert record["schema"] == "emotion-edge-evaluation/1"
    assert (record["figures"], record["training"]) == ({"macs": 5}, {"trial": False})
    assert record["agreement"][0]["same_label"] == 1.0
    assert (folder / "model-card.md").read_text() == "see ![](model-card.png)"
    assert (folder / "model.fp32.onnx").read_bytes() == tiny.MODEL
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "evaluation.json", "model.fp32.onnx", "model-card.md", "model-card.png",
    }  # fmt: skip

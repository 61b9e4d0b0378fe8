"""A bundle appears at once or not at all."""

from pathlib import Path

import pytest
import tiny

from edge import bundle
from edge.errors import BundleError
from export.bundle.write import copy_files, write_bundle


def fill(folder):
    (folder / "model.fp32.onnx").write_bytes(tiny.MODEL)
    return tiny.manifest()


def test_hashes_are_added_and_the_old_bundle_is_replaced(tmp_path) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    first = bundle.load(target)
    assert len(first.manifest["files"]["fp32"]["sha256"]) == 64
    write_bundle(target, lambda folder: {**fill(folder), "version": "2"})
    assert bundle.load(target).manifest["version"] == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("fault", ["raises", "invalid"])
def test_a_fault_leaves_the_old_bundle_and_no_litter(tmp_path, fault: str) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)

    def bad(folder):
        manifest = fill(folder)
        if fault == "raises":
            raise KeyboardInterrupt
        return {**manifest, "labels": []}

    with pytest.raises((KeyboardInterrupt, BundleError)):
        write_bundle(target, bad)
    assert bundle.load(target).manifest["version"] == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_working_folder_itself_can_be_replaced(tmp_path, monkeypatch) -> None:
    write_bundle(tmp_path / "b", fill)
    monkeypatch.chdir(tmp_path / "b")
    write_bundle(Path("."), lambda folder: {**fill(folder), "version": "2"})
    assert bundle.load(tmp_path / "b").manifest["version"] == "2"
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
        write_bundle(target, lambda folder: {**fill(folder), "version": "2"})
    assert bundle.load(target).manifest["version"] == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_copy_of_read_only_files_can_be_written_to(tmp_path) -> None:
    target = tmp_path / "b"
    write_bundle(target, fill)
    for file in target.iterdir():
        file.chmod(0o444)

    def again(folder):
        copy_files(target, folder)
        assert (folder / "model.fp32.onnx").stat().st_mode & 0o200
        return {**fill(folder), "version": "2"}

    write_bundle(target, again)
    assert bundle.load(target).manifest["version"] == "2"


def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(BundleError, match="is no bundle"):
        write_bundle(tmp_path / "photos", fill)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]

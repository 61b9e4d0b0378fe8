"""A bundle appears at once or not at all."""

import pytest
import tiny

from edge import bundle
from edge.errors import BundleError
from export.write_bundle import write_bundle


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


def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(BundleError, match="is no bundle"):
        write_bundle(tmp_path / "photos", fill)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]

"""Which detector is taken, and what is said where it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.config import DetectorConfig
from edge.errors import BundleError, ConfigError
from edge.faces import detectors


@pytest.fixture(autouse=True)
def _nothing_fetched(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_without_a_file_haar_stands_in_with_a_warning(tmp_path: Path, caplog) -> None:
    part, model = detectors.choose(DetectorConfig(), tmp_path)
    assert (part.name, model) == ("haar", None)
    assert "run `emotion-edge fetch`" in caplog.text


def test_a_named_file_is_for_yunet(tmp_path: Path) -> None:
    part, model = detectors.choose(DetectorConfig(model=str(tmp_path / "a.onnx")), tmp_path)
    assert (part.name, model) == ("yunet", tmp_path / "a.onnx")
    assert part.starts_tracks_at(DetectorConfig(score_threshold=0.9)) == 0.9


def test_what_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"detector\.kind is 'yolo', expected auto, yunet, haar"):
        detectors.choose(DetectorConfig(kind="yolo"), tmp_path)
    part, model = detectors.choose(DetectorConfig(kind="yunet"), tmp_path)
    with pytest.raises(BundleError, match="no YuNet file found; run `emotion-edge fetch` once"):
        part.load(DetectorConfig(), model)


def test_what_is_parsed_is_what_was_hashed(tmp_path: Path) -> None:
    """Exchanged between the choice and the loading: another network that is a YuNet, too."""
    other = tmp_path / detectors.YUNET_NAME
    other.write_bytes(b"a network of a stranger")
    yunet = next(part for part in detectors.DETECTORS if part.name == "yunet")
    with pytest.raises(BundleError, match="has changed since it was checked"):
        yunet.load(DetectorConfig(), other)


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "10 GB"])
def test_what_is_no_small_file_in_a_bundle_is_refused(tmp_path: Path, what: str) -> None:
    inside = tmp_path / detectors.YUNET_NAME
    if what == "10 GB":
        inside.touch()
        os.truncate(inside, 10 << 30)
    elif what == "link":
        inside.symlink_to("/dev/zero")
    else:
        (os.mkfifo if what == "pipe" else os.mkdir)(inside)
    with pytest.raises(BundleError, match=f"{inside} (is a|has).*; remove it"):
        detectors.choose(DetectorConfig(), tmp_path)


def test_a_named_file_is_regular_and_small(tmp_path: Path) -> None:
    yunet = next(part for part in detectors.DETECTORS if part.name == "yunet")
    os.mkfifo(tmp_path / "pipe")
    for name, said in ((tmp_path / "pipe", "is a named pipe"), (Path("/dev/zero"), "is a device")):
        with pytest.raises(BundleError, match=f"face detector {name} {said}, expected a regular file"):
            yunet.load(DetectorConfig(model=str(name)), name)

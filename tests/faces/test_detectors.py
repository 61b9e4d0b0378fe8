"""Which detector is taken, and what is said where it cannot be."""

from __future__ import annotations

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

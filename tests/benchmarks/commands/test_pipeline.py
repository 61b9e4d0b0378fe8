"""What the pipeline benchmark counts, names and refuses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
import tiny

from benchmarks import program as command
from benchmarks.commands import pipeline
from benchmarks.core.report import schema
from benchmarks.scenes import frames as scenes
from edge.session import Parts

HAAR = ["--set", "detector.kind=haar"]


@pytest.fixture
def bundle(tmp_path) -> Path:
    return tiny.write(tmp_path / "bundle")


def clip(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for at in range(frames):
        writer.write(np.random.default_rng(at).integers(0, 255, (240, 320, 3), np.uint8))
    writer.release()
    return path


def test_a_camera_is_told_from_a_file(bundle: Path, monkeypatch) -> None:
    frames = scenes.luma(scenes.one_face())
    attributes = {"__iter__": lambda self: iter(frames), "dropped": 3, "bad": Counter(), "frame_count": None}
    monkeypatch.setattr(Parts, "frames", type("Camera", (), attributes)())
    made = pipeline.run(_options("pipeline", "/dev/video0", "--bundle", str(bundle), *HAAR, "--frames", "30"))
    names = [entry["name"] for entry in made["measurements"]]
    assert {"working time", "capture"} <= set(names)
    assert "decode" not in names
    assert "frames a second, the wait for the camera included" in [f["name"] for f in made["figures"]]
    assert any("stage capture" in note for note in made["notes"])
    assert made["counts"]["dropped"] == 3


def test_the_configured_address_is_the_source_and_no_face_is_told(
    bundle: Path, tmp_path: Path, caplog
) -> None:
    video = clip(tmp_path / "blank.avi", 15)
    words = ["--bundle", str(bundle), *HAAR, "--set", f"source.address={video}"]
    made = pipeline.run(_options("pipeline", *words))
    jsonschema.validate(made, schema())
    assert made["counts"]["frames"] == 5
    assert "no face was found" in caplog.text
    assert [f["value"] for f in made["figures"] if f["name"].startswith("network: ")] == [None, None]


def _options(*words: str):
    return command._parser().parse_args(words)

"""The settings file of docs/service.md, taken from the page and run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pytest
from board_image import command, image, installed
from documents import ROOT, blocks

from edge.__main__ import main
from edge.capture.demo import DemoSource
from edge.config_file import load

PAGE = ROOT / "docs" / "service.md"
CAMERA, DETECTOR = '"/dev/video0"', "/opt/emotion-edge/cache/emotion-edge/face_detection_yunet_2023mar.onnx"
YUNET = ROOT.parent / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"


@pytest.fixture
def text() -> str:
    (found,) = (b.text for b in blocks(PAGE, "toml") if b.text.startswith("# /etc/emotion-edge.toml"))
    return found


def test_it_is_whole(text: str, tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(text)
    config = load(tmp_path / "e.toml")
    assert config.source.address == "/dev/video0"
    assert config.output.health == "/run/emotion-edge/health.json"
    assert set(config.output.sinks) == {"jsonl"}
    root = image(tmp_path / "root")
    (root / "etc/emotion-edge.toml").write_text(text)
    command("install", "-c", "/etc/emotion-edge.toml", "--root", root)
    assert "-c /etc/emotion-edge.toml\n" in installed(root)["etc/systemd/system/emotion-edge.service"]


def test_it_gives_estimates(text: str, tmp_path: Path, monkeypatch) -> None:
    """Under a supervisor, as the unit starts it; a clip stands for the camera, tmp_path for /run and /opt."""
    clip = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480))
    for frame in DemoSource().frames():
        if frame.index < 75:
            clip.write(frame.image)
    clip.release()
    assert text.count(CAMERA) == text.count(DETECTOR) == text.count('"/run/emotion-edge/') == 1
    text = text.replace(CAMERA, '"clip.avi"').replace("/run/emotion-edge", str(tmp_path))
    if YUNET.is_file():
        shutil.copy(YUNET, tmp_path / "yunet.onnx")
        text = text.replace(DETECTOR, str(tmp_path / "yunet.onnx"))
    else:
        text = text.replace(f'model = "{DETECTOR}"', 'kind = "haar"')
    (tmp_path / "e.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    assert main(["run", "-c", "e.toml"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "estimates.jsonl").read_text().splitlines()]
    assert sum(line["fresh"] and line["label"] == "happiness" for line in lines) > 10

"""The choice of a source by its address: what exists on disk is that."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.sources import find, is_live
from edge.errors import ConfigError


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("demo", "demo"),
        ("0", "camera"),
        ("/dev/video0", "camera"),
        ("rtsp://camera/1", "rtsp"),
        ("none.mp4", "file"),
        ("none.png", "file"),
        (".", "folder"),
    ],
)
def test_an_address_and_its_source(address: str, name: str) -> None:
    assert find(address).name == name
    assert is_live(address) == (name in ("camera", "rtsp"))


def test_an_empty_address_is_told() -> None:
    with pytest.raises(ConfigError, match=r"source is empty, expected /dev/video0"):
        find("")


def test_an_unknown_scheme() -> None:
    with pytest.raises(ConfigError, match="source 'ftp://a/b' is unknown"):
        find("ftp://a/b")


@pytest.mark.parametrize("address", ["csi:0", "picam:0", "mjpeg:/dev/video0", "rtsp:/me:hunter2@there/1"])
def test_a_camera_without_its_slashes_is_no_file(address: str) -> None:
    scheme = address.partition(":")[0]
    with pytest.raises(ConfigError, match=f"begins with {scheme}:, write {scheme}://") as told:
        find(address)
    assert "hunter2" not in str(told.value)


def test_no_address_at_all() -> None:
    with pytest.raises(ConfigError, match="source is empty, expected /dev/video0"):
        find("")


@pytest.mark.parametrize("name", ["http:/host/a.mp4", "rtsp:/camera/1", "caf\udce9.mkv", "12:30.mp4"])
def test_a_file_that_exists_is_a_file_whatever_its_name(work: Path, name: str) -> None:
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0")
    written = name.replace(":/", "://")
    assert find(written).name == "file"
    assert find(str(path)).name == "file"
    assert find(str(path.parent)).name == "folder"


def test_a_picture_is_a_folder_of_one(work: Path) -> None:
    (work / "a.png").write_bytes(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    (work / "clip.png").write_bytes(b"\0\0\0\x20ftypisom")
    assert find("a.png").name == "folder"
    assert find("clip.png").name == "file"

"""A camera that comes back under another number is found by its id."""

from pathlib import Path

import pytest

from edge.capture.addresses import stable_address


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    (tmp_path / "v4l/by-id").mkdir(parents=True)
    for number in (0, 1, 2):
        (tmp_path / f"video{number}").write_text("")
    (tmp_path / "v4l/by-id/usb-Camera-video-index0").symlink_to("../../video2")
    return tmp_path


@pytest.mark.parametrize("address", ["/dev/video2", "2"])
def test_a_number_becomes_the_id_behind_it(dev: Path, address: str) -> None:
    assert stable_address(address, dev) == str(dev / "v4l/by-id/usb-Camera-video-index0")


@pytest.mark.parametrize("address", ["/dev/video0", "0", "clip.mp4", "rtsp://host/path", "/dev/video2x"])
def test_everything_else_stays(dev: Path, address: str) -> None:
    assert stable_address(address, dev) == address


def test_the_link_follows_a_camera_that_comes_back(dev: Path) -> None:
    link = Path(stable_address("/dev/video2", dev))
    link.unlink()
    link.symlink_to("../../video1")
    assert link.resolve() == dev / "video1"

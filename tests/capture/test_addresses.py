"""A camera that comes back under another number is found by its id."""

from pathlib import Path

import pytest

from edge import session
from edge.capture.addresses import Followed, node_of, stable_address, with_password
from edge.config import Config, SourceConfig
from edge.errors import ConfigError, SourceError

ID, PATH = "usb-Camera-video-index0", "pci-0000:00:14.0-usb-0:{}:1.0-video-index{}"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    for kind in ("by-id", "by-path"):
        (tmp_path / "v4l" / kind).mkdir(parents=True)
    for number in (0, 1, 2):
        (tmp_path / f"video{number}").write_text("")
    link(tmp_path / "v4l/by-id" / ID, 2)
    return tmp_path


def link(name: Path, number: int) -> str:
    name.unlink(missing_ok=True)
    name.symlink_to(f"../../video{number}")
    return str(name)


@pytest.mark.parametrize("address", ["/dev/video2", "2"])
def test_a_number_becomes_the_id_behind_it(dev: Path, address: str) -> None:
    assert stable_address(address, dev) == str(dev / "v4l/by-id" / ID)


def test_a_jpeg_camera_keeps_its_scheme(dev: Path) -> None:
    assert stable_address("mjpeg:///dev/video2", dev) == f"mjpeg://{dev}/v4l/by-id/{ID}"


OTHERS = ["/dev/video0", "0", "clip.mp4", "rtsp://host/path", "/dev/video2x", "mjpeg:///dev/video0"]


@pytest.mark.parametrize("address", [*OTHERS, "mjpeg://2", "mjpeg:///dev/v4l/by-id/x", "²"])
def test_everything_else_stays(dev: Path, address: str) -> None:
    assert stable_address(address, dev) == address


def test_the_link_follows_a_camera_that_comes_back(dev: Path) -> None:
    found = Path(stable_address("/dev/video2", dev))
    link(found, 1)
    assert found.resolve() == dev / "video1"


def test_two_cameras_of_one_id_are_told_apart_by_their_plugs(dev: Path) -> None:
    paths = [link(dev / "v4l/by-path" / PATH.format(port, 0), number) for port, number in ((1, 0), (2, 2))]
    assert [stable_address(number, dev) for number in "02"] == paths


def test_a_camera_with_an_id_of_its_own_is_followed_to_another_plug(dev: Path) -> None:
    """A second node of it, for metadata, has its own index; a camera without USB has no id at all."""
    link(dev / "v4l/by-path" / PATH.format(2, 0), 2)
    link(dev / "v4l/by-path" / PATH.format(2, 1), 1)
    csi = link(dev / "v4l/by-path/platform-soc-video-index0", 0)
    assert stable_address("2", dev) == str(dev / "v4l/by-id" / ID)
    assert stable_address("0", dev) == csi


def test_a_link_that_comes_late_is_found_and_kept(dev: Path) -> None:
    camera = Followed(SourceConfig(address="/dev/video0", width=640), dev)
    assert camera.now() == SourceConfig(address="/dev/video0", width=640)
    late = link(dev / "v4l/by-id/usb-Late-video-index0", 0)
    assert camera.now() == SourceConfig(address=late, width=640)
    Path(late).unlink()  # unplugged; another camera gets its number
    link(dev / "v4l/by-id/usb-Other-video-index0", 0)
    assert camera.now().address == late


@pytest.mark.parametrize(
    ("address", "node"),
    [
        ("0", "/dev/video0"),
        ("/dev/video3", "/dev/video3"),
        ("/dev/v4l/by-id/usb-cam-index0", "/dev/v4l/by-id/usb-cam-index0"),
        ("mjpeg:///dev/video1", "/dev/video1"),
        ("mjpeg:///tmp/a.jpg", None),
        ("csi://0", None),
        ("picam://0", None),
        ("rtsp://cam/1", None),
        ("clip.mp4", None),
        ("demo", None),
    ],
)
def test_the_node_of_a_camera(address: str, node: str | None) -> None:
    assert node_of(address) == (node and Path(node))


def test_an_absent_camera_is_refused_before_anything_is_loaded(monkeypatch) -> None:
    for address in ("97", "/dev/video97", "mjpeg:///dev/video97"):
        config = Config(source=SourceConfig(address))
        with (
            pytest.raises(SourceError, match=r"/dev/video97 does not exist; "),
            session.parts(config) as parts,
        ):
            _ = parts.frames
        monkeypatch.setenv("NOTIFY_SOCKET", "/nobody")
        with session.parts(config) as parts:
            _ = parts.frames  # a service waits for it
        monkeypatch.delenv("NOTIFY_SOCKET")


def test_a_password_that_comes_apart_is_put_into_the_address() -> None:
    assert with_password("rtsp://kiosk@10.0.0.7:554/1?a=b@c", "p@s/s:") == (
        "rtsp://kiosk:p%40s%2Fs%3A@10.0.0.7:554/1?a=b@c"
    )
    assert with_password("rtsp://u@[fe80::1]/1", "x") == "rtsp://u:x@[fe80::1]/1"
    assert with_password("rtsp://10.0.0.7/1", "") == "rtsp://10.0.0.7/1"
    for address in ("rtsp://10.0.0.7/1", "rtsp://u:other@10.0.0.7/1", "rtsp://@10.0.0.7/1"):
        with pytest.raises(ConfigError, match="rtsp://USER@HOST") as refused:
            with_password(address, "hidden")
        assert "hidden" not in str(refused.value)
        assert "other" not in str(refused.value)

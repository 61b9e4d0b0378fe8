"""Luma of a V4L2 camera's bytes; tests/boards/test_v4l2.py has a real device."""

from __future__ import annotations

import math
import resource

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.cv_capture import Picture
from edge.capture.raw_frames import luma, luma_frame, unconverted
from edge.capture.reconnect.frame_checks import BadFrames

HEIGHT, WIDTH = 48, 64
LUMA = np.random.default_rng(0).integers(16, 236, (HEIGHT, WIDTH), np.uint8)
COLORS = {
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "NV21": cv2.COLOR_YUV2BGR_NV21,
    "YU12": cv2.COLOR_YUV2BGR_IYUV,
    "YV12": cv2.COLOR_YUV2BGR_YV12,
}


def sent(fourcc: str) -> np.ndarray:
    """LUMA as a camera sends it, in the shape in which OpenCV gives it; the chroma is that of gray."""
    if fourcc == "GREY":
        return LUMA.copy()
    if fourcc == "YUYV":
        return np.stack([LUMA, np.full_like(LUMA, 128)], axis=-1)
    return np.concatenate([LUMA, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])


def jpeg(quality: int = 95) -> np.ndarray:
    smooth = cv2.GaussianBlur(LUMA, (0, 0), 3)
    colors = np.dstack([smooth, smooth, np.full_like(smooth, 90)])
    return cv2.imencode(".jpg", colors, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].reshape(1, -1)


@pytest.mark.parametrize("fourcc", [*COLORS, "GREY"])
def test_luma_is_a_view_of_what_was_sent(fourcc: str) -> None:
    raw = sent(fourcc)
    image = luma(raw, fourcc, HEIGHT, WIDTH)
    assert np.array_equal(image, LUMA)
    assert np.shares_memory(image, raw), "it was copied"
    assert image.strides == ((2 * WIDTH, 2) if fourcc == "YUYV" else (WIDTH, 1))


@pytest.mark.parametrize("fourcc", COLORS)
def test_its_range_is_the_one_that_opencv_converts_from(fourcc: str) -> None:
    frame = luma_frame(Picture(sent(fourcc), 1.5, 0.0), fourcc, (HEIGHT, WIDTH), 7)
    assert (frame.luma_range, frame.timestamp_s, frame.index) == ("limited", 1.5, 7)
    gray = cv2.cvtColor(cv2.cvtColor(sent(fourcc), COLORS[fourcc]), cv2.COLOR_BGR2GRAY)
    full = (frame.image.astype(float) - 16) * (255 / 219)
    assert np.abs(full - gray).max() <= 1, "both round"


def test_a_jpeg_is_decoded_to_the_gray_of_its_colors() -> None:
    frame = luma_frame(Picture(jpeg(), 1.5, 0.0), "MJPG", (HEIGHT, WIDTH), 0)
    gray = cv2.cvtColor(cv2.imdecode(jpeg(), cv2.IMREAD_COLOR), cv2.COLOR_BGR2GRAY)
    assert frame.luma_range == "full"
    assert np.abs(frame.image.astype(int) - gray).max() <= 2, "colors are rounded and clipped on the way"


@pytest.mark.parametrize("raw", [jpeg()[:, :0], jpeg()[:, :20], np.zeros((1, 5000), np.uint8)])
def test_a_broken_jpeg_is_a_malformed_frame(raw: np.ndarray) -> None:
    assert luma(raw, "MJPG", HEIGHT, WIDTH) is None
    frame = luma_frame(Picture(raw, 1.5, 0.0), "MJPG", (HEIGHT, WIDTH), 0)
    assert BadFrames().fault(frame) == "malformed"


@given(st.data())
def test_no_damage_to_a_jpeg_raises(data: st.DataObject) -> None:
    raw = jpeg().reshape(-1).copy()
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=20)):
        raw[at] = data.draw(st.integers(0, 255))
    image = luma(raw[: data.draw(st.integers(0, len(raw)))], "MJPG", HEIGHT, WIDTH)
    assert image is None or (image.dtype, image.shape) == (np.uint8, (HEIGHT, WIDTH))


def frame_header(raw: np.ndarray) -> int:
    """Where height and width stand in a baseline JPEG."""
    return raw.tobytes().index(b"\xff\xc0") + 5


def test_a_jpeg_of_another_size_is_not_decoded() -> None:
    raw = jpeg().reshape(-1).copy()
    at = frame_header(raw)
    assert raw[at : at + 4].tolist() == [0, HEIGHT, 0, WIDTH]
    raw[at : at + 4] = [0x5F, 0xFF, 0x5F, 0xFF]  # 24575 x 24575: 1.2 GB and 3 s, where it is decoded
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert luma(raw, "MJPG", HEIGHT, WIDTH) is None
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began
    assert grown_kb < 100_000, "1.2 GB would be taken; other tests have left less than this to reuse"
    assert luma(jpeg(), "MJPG", HEIGHT, WIDTH + 16) is None


def test_what_stands_before_the_size_does_not_hide_it() -> None:
    raw = jpeg().reshape(-1)
    comment = np.frombuffer(b"\xff\xfe\x00\x12\xff\xc0\x00\x11\x08\x00\x01\x00\x01abcdefg", np.uint8)
    filled = np.concatenate([raw[:2], comment, np.full(3, 0xFF, np.uint8), raw[2:]])
    image = luma(filled, "MJPG", HEIGHT, WIDTH)
    assert image is not None
    assert np.array_equal(image, luma(raw, "MJPG", HEIGHT, WIDTH))


@given(st.sampled_from([*COLORS, "GREY"]), st.integers(0, 3 * HEIGHT * WIDTH))
def test_another_number_of_bytes_is_no_picture(fourcc: str, count: int) -> None:
    image = luma(np.zeros((1, count), np.uint8), fourcc, HEIGHT, WIDTH)
    right = count == sent(fourcc).size
    assert (image is not None) == right
    assert image is None or image.shape == (HEIGHT, WIDTH)


class Camera:
    """A capture of one format, which may refuse to leave its frames as they are."""

    def __init__(self, fourcc: str, obeys: bool) -> None:
        self.fourcc, self.obeys = fourcc, obeys
        self.told: list[tuple[int, float]] = []

    def get(self, key: int) -> float:
        assert key == cv2.CAP_PROP_FOURCC
        return float(cv2.VideoWriter.fourcc(*self.fourcc)) if self.fourcc else math.nan

    def set(self, key: int, value: float) -> bool:
        self.told.append((key, value))
        return self.obeys


@pytest.mark.parametrize(
    ("fourcc", "obeys", "found"),
    [*((known, True, known) for known in (*COLORS, "GREY", "MJPG", "YUY2")), ("YUYV", False, None)],
)
def test_a_camera_that_holds_luma_is_told_to_convert_nothing(
    fourcc: str, obeys: bool, found: str | None
) -> None:
    camera = Camera(fourcc, obeys)
    assert unconverted(camera) == found
    assert camera.told == [(cv2.CAP_PROP_CONVERT_RGB, 0)]


@pytest.mark.parametrize("fourcc", ["BGR3", "RGB3", "Y16 ", "BA81", ""])
def test_any_other_is_left_to_opencv(fourcc: str) -> None:
    camera = Camera(fourcc, obeys=True)
    assert unconverted(camera) is None
    assert camera.told == []

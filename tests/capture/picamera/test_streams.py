"""Formats, sizes and ranges of what a Raspberry Pi camera gives; one request gives both pictures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import stand_in_picamera2 as stand_in
from contracts import check_source
from stand_in_picamera2 import first

from edge import session
from edge.capture.picamera.source import PicameraSource
from edge.capture.picamera.streams import small
from edge.config import Config, OutputConfig, SourceConfig
from edge.errors import SourceError


def test_luma_without_padding_is_a_copy_of_its_own(board) -> None:
    for padding in (0, 32, 96):
        board.padding, board.frames = padding, 0
        image = first(PicameraSource("picam://0")).image
        assert image.shape == (480, 640)
        assert (image == 40).all(), "padding or chroma shows in the image"
        assert image.base is None, "the image is a view of something"
        assert image.flags.writeable


@pytest.mark.parametrize("given", ["YUV420", "NV12"])
def test_any_format_that_begins_with_luma_will_do(board, given: str) -> None:
    board.format = given
    assert (first(PicameraSource("picam://0", 320, 240)).image == 40).all()


@pytest.mark.parametrize("padding", [0, 32])
def test_drawing_adds_a_large_stream_in_color(board, padding: int) -> None:
    board.padding = padding
    frame = first(PicameraSource("picam://0", 1280, 720, draw=True))
    assert frame.image.shape == (360, 640)
    assert (frame.image == 40).all(), "padding or chroma shows in the image"
    assert frame.drawn.shape == (720, 1280, 3)
    assert (frame.drawn == np.array([40, 41, 42], np.uint8)).all(), "not in the order blue, green, red"
    assert frame.drawn.flags.writeable
    asked = board.configured[-1]
    assert (asked["main"]["format"], asked["lores"]["format"]) == ("RGB888", "YUV420")
    assert board.frames == 1, "each picture was taken from a request of its own"


def test_both_pictures_are_of_one_moment(board) -> None:
    frames = check_source(PicameraSource("picam://0", 64, 48, draw=True))
    assert [int(frame.image[0, 0]) for frame in frames] == list(range(40, 60))
    assert [int(frame.drawn[0, 0, 0]) for frame in frames] == list(range(40, 60))


def test_without_drawing_there_is_one_stream(board) -> None:
    assert first(PicameraSource("picam://0", 1280, 720)).drawn is None
    asked = board.configured[-1]
    assert (asked["main"]["size"], asked["lores"]) == ((1280, 720), None)


@pytest.mark.parametrize(
    ("size", "luma"),
    [
        ((640, 480), (640, 480)),
        ((320, 241), (320, 240)),
        ((1920, 1080), (640, 360)),
        ((1640, 1232), (640, 480)),
        ((1080, 1920), (640, 1136)),
        ((4608, 2592), (640, 360)),
        ((3, 3), (2, 2)),
        ((9000, 2), (640, 2)),
    ],
)
def test_the_luma_beside_is_small_and_even(size: tuple[int, int], luma: tuple[int, int]) -> None:
    assert small(size) == luma


@pytest.mark.parametrize(("streams", "wishes"), [(2, {"color": True}), (1, {"draw": True})])
def test_color_and_a_camera_with_one_stream_give_bgr(board, streams: int, wishes: dict[str, bool]) -> None:
    board.streams = streams
    frame = first(PicameraSource("picam://0", 320, 240, **wishes))
    assert frame.image.shape == (240, 320, 3)
    assert (frame.image == np.array([40, 41, 42], np.uint8)).all(), "not in the order blue, green, red"
    assert (frame.luma_range, frame.drawn) == ("full", None)
    assert board.configured[-1]["lores"] is None


@pytest.mark.parametrize(("color", "sizes"), [(False, [(1280, 720), (640, 360)]), (True, [(1280, 720)])])
def test_a_run_that_draws_asks_for_both_streams(board, color: bool, sizes: list[tuple[int, int]]) -> None:
    """Unless it works in color, as ``source.color`` says."""
    source = SourceConfig("picam://0", 1280, 720, color=color)
    config = Config(source=source, output=OutputConfig(sinks={"annotate": {"path": "out.mp4"}}))
    with session.parts(config, lambda: parts.frames.leave()) as parts:
        assert list(parts.frames) == [], "the stand-in's flat pictures are no good frames"
    asked = board.configured[-1]
    assert [asked[name]["size"] for name in ("main", "lores") if asked[name]] == sizes


@pytest.mark.parametrize(
    ("color_space", "luma_range"),
    [
        (SimpleNamespace(range=stand_in.Range.Full), "full"),
        (SimpleNamespace(range=stand_in.Range.Limited), "limited"),
        (None, "full"),
    ],
)
@pytest.mark.parametrize("draw", [False, True])
def test_luma_range(board, color_space, luma_range: str, draw: bool) -> None:
    board.color_space = color_space
    assert first(PicameraSource("picam://0", draw=draw)).luma_range == luma_range


@pytest.mark.parametrize("stream", ["_image", "_drawn"])
def test_a_bad_request_is_released(board, stream: str) -> None:
    """The copy fails, for the stream is larger than the memory that came."""
    with PicameraSource("picam://0", draw=True) as source:
        about = getattr(source, stream)
        setattr(source, stream, replace(about, stride=2 * about.stride))
        with pytest.raises(SourceError, match="failed after 0 frames"):
            next(source.frames())
        assert board.lent == set()

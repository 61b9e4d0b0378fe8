"""Luma of every format, layout and range."""

from __future__ import annotations

import numpy as np
import pytest
from contracts import check_source
from gstreamer_parts import LIBRARIES, only, real, source

from edge.capture.gstreamer.source import luma


@real
@pytest.mark.parametrize("form", ["NV12", "I420", "GRAY8"])
@pytest.mark.parametrize("width", [320, 322, 50])
def test_rows_may_be_longer_in_memory(form: str, width: int) -> None:
    frame = check_source(source(only(form), width), at_most=1)[0]
    assert frame.image.shape == (240, width)
    assert frame.image.strides == ((width + 3) // 4 * 4, 1)
    assert len(np.unique(frame.image[0])) >= 7, "the bars of the test picture"
    assert (frame.image[:150] == frame.image[0]).all(), "rows are shifted against each other"


@real
@pytest.mark.parametrize("form", ["NV12", "GRAY8"])
def test_a_layout_that_only_the_buffer_knows(form: str) -> None:
    gst, video = LIBRARIES.gst, LIBRARIES.video
    memory = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8)
    buffer = gst.Buffer.new_wrapped(memory.tobytes())
    planes = 2 if form == "NV12" else 1
    layout = [video.VideoFormat.from_string(form), 50, 20, planes, [100, 2500, 0, 0], [96, 96, 0, 0]]
    video.buffer_add_video_meta_full(buffer, video.VideoFrameFlags.NONE, *layout)
    caps = gst.Caps.from_string(f"video/x-raw,format={form},width=50,height=20,framerate=30/1")
    image, _ = luma(LIBRARIES, gst.Sample.new(buffer, caps, None, None))
    assert np.array_equal(image, memory[100 : 100 + 20 * 96].reshape(20, 96)[:, :50])


@real
@pytest.mark.parametrize(
    ("form", "colorimetry", "expected"),
    [
        ("NV12", "bt601", "limited"),
        ("I420", "bt709", "limited"),
        ("NV12", "1:4:7:1", "full"),  # range 1 (0 to 255), BT.601 matrix, sRGB, BT.709 primaries
        ("I420", "", "limited"),
        ("GRAY8", "", "full"),
    ],
)
def test_range(form: str, colorimetry: str, expected: str) -> None:
    more = f',colorimetry=(string)"{colorimetry}"' if colorimetry else ""
    assert check_source(source(only(form, more)), at_most=1)[0].luma_range == expected

"""From outside: a clip in which the picture goes black or blank, or the face is covered."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import edge
from edge.capture.demo import ACTORS, FPS, DemoSource, face_square

GONE = range(10, 20)  # frames of the clip, two thirds of a second
Picture = np.ndarray
# Looks are seldom, so that tracks would go on without one.
SETTINGS = {"detector.kind": "haar", "detector.every": 12}


@pytest.fixture(scope="module")
def frames() -> list[edge.Frame]:
    """Two seconds of the demo, with the smiling face alone in sight."""
    return list(DemoSource().frames())[32:65]


def covered(picture: Picture, time_s: float) -> Picture:
    """A hand or a cloth before the whole face, without much to see in it."""
    x, y, side = face_square(ACTORS[0], time_s)
    cv2.circle(picture, (round(x), round(y)), round(side * 0.75), (150, 160, 190), -1)
    return picture


def blurred(picture: Picture, time_s: float) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), 30) // 8


FAULTS: dict[str, Callable[[Picture, float], Picture]] = {
    "black": lambda picture, _: picture * 0,
    "blank": lambda picture, _: picture * 0 + 90,
    "covered": covered,
    "a dark blur": blurred,
}


def clip(
    path: Path, frames: list[edge.Frame], fault: Callable[[Picture, float], Picture], span: range
) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=Fraction(FPS))
        video.width, video.height, video.pix_fmt, video.bit_rate = 640, 480, "yuv420p", 8_000_000
        for number, frame in enumerate(frames):
            picture = fault(frame.image.copy(), frame.timestamp_s) if number in span else frame.image
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("span", [GONE, range(10, 12)], ids=["longer", "a blink"])
def test_no_answer_without_a_face(tmp_path: Path, frames: list[edge.Frame], name: str, span: range) -> None:
    path = clip(tmp_path / "a.mp4", frames, FAULTS[name], span)
    with edge.open(path, settings=SETTINGS) as run:
        shown = {frame.index: estimates for frame, estimates in run}
    assert any(estimate.fresh for at in range(4, span.start) for estimate in shown[at])
    # Ten of fifteen frames a second have a step: the rest of a picture is only looked at there.
    for at in span if name in ("black", "blank") else span[1:]:
        assert all(estimate.label == "uncertain" for estimate in shown[at]), f"{name}: answered in frame {at}"
    after = [estimate for at in range(span.stop + 4, len(frames)) for estimate in shown[at]]
    assert after[-1].label == "happiness", "the face is back"
    if name in ("black", "blank"):
        before = {estimate.track_id for at in range(span.start) for estimate in shown[at]}
        kept = before == {estimate.track_id for estimate in after}
        assert kept == (span is not GONE), "a blink keeps the id, a longer time does not"

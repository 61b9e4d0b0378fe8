"""A network for color gets the right color in the right channel, from whatever has it; others get luma."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
import hue

from edge import session
from edge.config import BundleConfig, Config, SourceConfig
from edge.data import Frame
from edge.recognition.gray_source import GrayNotice, is_gray

ROOT = Path(__file__).parents[1]
TOLD = "gives gray only; the network hue was trained on color, its answers may be worse"


def run(source: Path, bundle: Path) -> tuple[set[str], str]:
    """The likeliest labels that ``emotion-edge run`` gives, and what it says."""
    line = [sys.executable, "-m", "edge", "run", str(source), "--bundle", str(bundle), "--jsonl", "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line)["probabilities"] for line in done.stdout.splitlines()]
    return {max(row, key=row.get) for row in rows}, done.stderr


def picture(path: Path, gains: tuple[float, float, float] | None) -> Path:
    cv2.imwrite(str(path), hue.scene(gains))
    return path


def clip(path: Path, gains: tuple[float, float, float] | None, pix_fmt: str, color_range: int) -> Path:
    """A clip of ten equal frames; ``color_range`` 1: limited, 2: full."""
    import av

    image = hue.scene(gains)
    image = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1" if pix_fmt == "gray" else "mpeg4", rate=10)
        video.height, video.width = image.shape[:2]
        video.pix_fmt, video.bit_rate = pix_fmt, 8_000_000
        video.codec_context.color_range = color_range
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=color_range)
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("normalization", ["unit", "signed", "imagenet", "none"])
@pytest.mark.parametrize(("color", "red", "blue"), [("rgb", "first", "third"), ("bgr", "third", "first")])
def test_a_picture_of_one_color(tmp_path: Path, normalization: str, color: str, red: str, blue: str) -> None:
    bundle = hue.write(tmp_path / "b", normalization, color=color)
    assert run(picture(tmp_path / "red.png", hue.RED), bundle)[0] == {red}
    answers, told = run(picture(tmp_path / "blue.png", hue.BLUE), bundle)
    assert answers == {blue}
    assert "gray" not in told


@pytest.mark.parametrize("color_range", [1, 2])
def test_a_clip_whose_luma_alone_would_do_for_others(tmp_path: Path, color_range: int) -> None:
    source = clip(tmp_path / "blue.mkv", hue.BLUE, "yuv420p", color_range)
    answers, told = run(source, hue.write(tmp_path / "b", color="rgb"))
    assert answers == {"third"}
    assert "gray" not in told


def test_sources_that_have_only_gray_are_told_of_once(tmp_path: Path) -> None:
    bundle = hue.write(tmp_path / "b", color="rgb")
    for source in (
        picture(tmp_path / "gray.png", None),
        clip(tmp_path / "gray.mkv", None, "gray", 2),
        clip(tmp_path / "neutral.mkv", None, "yuv420p", 1),
    ):
        answers, told = run(source, bundle)
        assert answers, source
        assert told.count(TOLD) == 1, told


@pytest.mark.parametrize("color", ["gray", None])
def test_old_bundles_and_those_for_gray_get_luma_in_three_channels(tmp_path: Path, color: str | None) -> None:
    bundle = hue.write(tmp_path / "b", **({"color": color} if color else {}))
    config = Config(source=SourceConfig(str(clip(tmp_path / "blue.mkv", hue.BLUE, "yuv420p", 1))),
                    bundle=BundleConfig(str(bundle)))  # fmt: skip
    with session.parts(config) as parts:
        (frame, *_) = parts.frames
        assert frame.image.ndim == 2, "nobody converts what nobody needs"
        _, crop = parts.new_recognizer().crop(frame, [hue.middle(frame)])
        assert np.ptp(crop, axis=1).max() == 0


def test_a_frame_shows_whether_there_is_color() -> None:
    def frame(image: np.ndarray) -> Frame:
        return Frame(image, 0.0, 0)

    assert is_gray(frame(hue.scene(None))) is True
    assert is_gray(frame(cv2.cvtColor(hue.scene(None), cv2.COLOR_GRAY2BGR))) is True
    assert is_gray(frame(hue.scene(hue.RED))) is False
    assert is_gray(frame(np.zeros((48, 64, 3), np.uint8))) is None


def test_a_dark_beginning_says_nothing_of_the_source(caplog: pytest.LogCaptureFixture) -> None:
    notice = GrayNotice("hue")
    dark, gray = np.zeros((48, 64, 3), np.uint8), cv2.cvtColor(hue.scene(None), cv2.COLOR_GRAY2BGR)
    for image in (dark, hue.scene(hue.BLUE), gray):
        notice.look(Frame(image, 0.0, 0))
    assert caplog.text == ""
    for image in (dark, gray, gray):
        (notice := GrayNotice("hue") if image is dark else notice).look(Frame(image, 0.0, 0))
    assert caplog.text.count(TOLD) == 1

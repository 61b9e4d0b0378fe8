"""How a configuration gets its source: turned, and with a picture to draw on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made_clips as clips
import numpy as np
import pytest

from edge import session
from edge.capture.orientation import UPRIGHT
from edge.capture.sources import open_source
from edge.config import Config, DetectorConfig, OutputConfig, RecoveryConfig, SourceConfig
from edge.data import Frame
from edge.errors import ConfigError

YUNET = Path(__file__).parents[2] / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"


def frames_of(source: SourceConfig, **outputs: dict[str, str]) -> list[Frame]:
    with session.parts(Config(source=source, output=OutputConfig(sinks=outputs))) as parts:
        return list(parts.frames)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> SourceConfig:
    return SourceConfig(str(clips.write(tmp_path_factory.mktemp("clip") / "clip.mp4", 3)))


def test_a_clip_that_is_written_changes_no_estimate(clip: SourceConfig, tmp_path: Path) -> None:
    plain, drawn = frames_of(clip), frames_of(clip, annotate={"path": str(tmp_path / "out.mp4")})
    for one, two in zip(plain, drawn, strict=True):
        assert np.array_equal(one.image, two.image)
        assert one.luma_range == two.luma_range
        assert one.drawn is None
        assert two.drawn is not None
        assert two.drawn.shape == (*two.image.shape, 3)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_frames_are_turned_once(clip: SourceConfig, rotate: int, mirror: bool) -> None:
    turned = frames_of(replace(clip, rotate=rotate, mirror=mirror, draw=True))
    for one, two in zip(frames_of(clip), turned, strict=True):
        expected = np.rot90(one.image, -rotate // 90)
        expected = expected[:, ::-1] if mirror else expected
        assert np.array_equal(two.image, expected)
        assert two.drawn is not None
        assert two.drawn.shape == (*expected.shape, 3)
        assert clips.light_corner(two.drawn) == clips.light_corner(expected)


def test_a_source_itself_turns_nothing(clip: SourceConfig) -> None:
    """A child process reads it for this one, which turns what arrives."""
    with open_source(replace(clip, rotate=90)) as source:
        assert next(source.frames()).image.shape == (48, 64)


def test_a_wrong_angle_is_told_before_anything_is_opened() -> None:
    with (
        pytest.raises(ConfigError, match=r"source\.rotate is 45"),
        session.parts(Config(source=SourceConfig("/none", rotate=45))),
    ):
        pass


@pytest.mark.parametrize(
    ("fps", "stall_s", "limit_s"), [(None, 2.0, 2.0), (30, 2.0, 2.0), (0.2, 2.0, 12.5), (0.2, 60.0, 60.0)]
)
def test_a_camera_asked_for_few_frames_is_given_time_for_them(
    fps: float | None, stall_s: float, limit_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
    monkeypatch.setenv("NOTIFY_SOCKET", "none")  # a service waits for a camera that is not there yet
    config = Config(source=SourceConfig("/dev/video9", fps=fps), recovery=RecoveryConfig(stall_s=stall_s))
    assert session._camera_frames(config, lambda: None, UPRIGHT)._timeouts.stall_s == limit_s


def test_parts_of_the_frame_are_looked_at_by_a_detector_that_can() -> None:
    def wide(**settings):
        with session.parts(Config(detector=DetectorConfig(**settings))) as parts:
            return parts.new_pipeline().wide

    assert wide(kind="haar") is None
    if YUNET.is_file():
        assert wide(kind="yunet", model=str(YUNET), wide=False) is None
        made = wide(kind="yunet", model=str(YUNET), input_width=320)
        assert (made.input_width, made.smallest_px) == (320, 48)

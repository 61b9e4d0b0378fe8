"""The annotated clip: whole, in its own time, drawn on a copy, never half under its final name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from contracts import check_picture_sink

from edge.data import UNCERTAIN, EmotionEstimate, Frame
from edge.errors import ConfigError
from edge.sinks.video import COLORS, GRAY, VideoSink, draw

LABELS = ("neutral", "happiness", "sadness", "anger")
ESTIMATE = EmotionEstimate(
    track_id=1,
    timestamp_s=0.0,
    box_xyxy=np.array([60, 40, 140, 120], np.float32),
    probabilities=np.array([0.1, 0.7, 0.15, 0.05], np.float32),
    labels=LABELS,
    label="happiness",
    warm=True,
    fresh=True,
)


def frame(i: int, gap_s: float = 0.05, shape: tuple[int, ...] = (240, 320, 3)) -> Frame:
    return Frame(np.full(shape, 80, np.uint8), i * gap_s, i)


def read(path: Path) -> tuple[int, float, tuple[int, int]]:
    """Frames, rate and size of a clip."""
    clip = cv2.VideoCapture(str(path))
    frames = 0
    while clip.grab():
        frames += 1
    return frames, clip.get(cv2.CAP_PROP_FPS), (int(clip.get(3)), int(clip.get(4)))


@pytest.mark.parametrize("shape", [(240, 320, 3), (240, 320)])
def test_contract_in_color_and_luma(tmp_path: Path, shape: tuple[int, ...]) -> None:
    check_picture_sink(VideoSink(str(tmp_path / "out.mp4")), frame(0, shape=shape), [ESTIMATE])
    assert read(tmp_path / "out.mp4")[0] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("count", [1, 2, 30])
def test_every_frame_is_kept(tmp_path: Path, count: int) -> None:
    with VideoSink(str(tmp_path / "out.mp4")) as sink:
        for i in range(count):
            sink.write(frame(i), [])
        assert not (tmp_path / "out.mp4").exists(), "a half file stands under the final name"
    frames, fps, size = read(tmp_path / "out.mp4")
    assert (frames, size) == (count, (320, 240))
    assert fps == pytest.approx(20 if count > 1 else 10)


def test_an_odd_first_gap_does_not_set_the_rate(tmp_path: Path) -> None:
    # As in many .mov files: 0, 13.67, 55.3, 97 ... ms. A rate of 73.142857 is refused by MPEG-4, too.
    stamps_s = [0.0, *(0.013671875 + i / 24 for i in range(20))]
    with VideoSink(str(tmp_path / "out.mp4")) as sink:
        for i, stamp_s in enumerate(stamps_s):
            sink.write(replace(frame(i), timestamp_s=stamp_s), [])
    assert read(tmp_path / "out.mp4")[:2] == (21, pytest.approx(24))


def test_two_frames_of_any_gap_make_a_clip(tmp_path: Path) -> None:
    for number, gap_s in enumerate((0.013671875, 1 / 3, 1e-6, 90.0)):
        path = tmp_path / f"{number}.mp4"
        with VideoSink(str(path)) as sink:
            sink.write(frame(0), [])
            sink.write(frame(1, gap_s), [])
        assert read(path)[0] == 2, f"gap {gap_s} s"


def test_no_frame_no_file(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("of an earlier run")
    with VideoSink(str(tmp_path / "out.mp4")):
        pass
    assert (tmp_path / "out.mp4").read_text() == "of an earlier run"


def test_another_size_is_fitted_to_the_first(tmp_path: Path) -> None:
    with VideoSink(str(tmp_path / "out.mp4")) as sink:
        for i in range(15):
            sink.write(frame(i, shape=(240, 320, 3) if i < 13 else (100, 90, 3)), [])
    assert read(tmp_path / "out.mp4") == (15, pytest.approx(20), (320, 240))


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.avi.*\.mp4"):
        VideoSink(str(tmp_path / "out.avi"))
    with pytest.raises(ConfigError, match="mkdir -p"):
        VideoSink(str(tmp_path / "none" / "out.mp4"))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        VideoSink(str(tmp_path / "folder.mp4"))


def test_the_box_has_the_tracks_color_and_gray_where_uncertain() -> None:
    still = frame(0)
    for estimate, color in (
        (ESTIMATE, COLORS[1]),
        (replace(ESTIMATE, track_id=2), COLORS[2]),
        (replace(ESTIMATE, label=UNCERTAIN), GRAY),
    ):
        picture = draw(still, [estimate])
        assert tuple(picture[80, 60]) == color, "left edge of the box"
    assert np.all(still.image == 80), "the frame itself was drawn upon"


def test_what_is_drawn_on_may_be_larger_than_what_was_looked_at() -> None:
    """Every pixel as if the boxes had been found in the large picture itself."""
    large = frame(0, shape=(360, 960, 3))
    looked_at = Frame(np.zeros((240, 320), np.uint8), 0.0, 0, "limited", large.image)
    moved = replace(ESTIMATE, box_xyxy=ESTIMATE.box_xyxy * np.array([3, 1.5, 3, 1.5], np.float32))
    assert np.array_equal(draw(looked_at, [ESTIMATE]), draw(large, [moved]))
    assert np.all(large.image == 80), "the frame itself was drawn upon"


def test_the_clip_is_as_large_as_what_is_drawn_on(tmp_path: Path) -> None:
    drawn = np.full((360, 640, 3), 80, np.uint8)
    check_picture_sink(
        VideoSink(str(tmp_path / "out.mp4")),
        Frame(np.zeros((240, 320), np.uint8), 0.0, 0, drawn=drawn),
        [ESTIMATE],
    )
    assert read(tmp_path / "out.mp4")[2] == (640, 360)


def test_bars_are_as_long_as_the_probabilities() -> None:
    picture = draw(frame(0, shape=(480, 640, 3)), [ESTIMATE])
    row = picture[125]  # the upper edge of the first bar, above the rim of its text
    assert np.count_nonzero(np.all(row == COLORS[1], axis=-1)) == pytest.approx(0.7 * 80, abs=2)


def test_a_face_at_the_edge_and_outside_can_be_drawn() -> None:
    for box in ([-50, -50, 30, 30], [300, 220, 400, 320], [900, 900, 990, 990]):
        draw(frame(0), [replace(ESTIMATE, box_xyxy=np.array(box, np.float32))])

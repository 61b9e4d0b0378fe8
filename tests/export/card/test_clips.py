"""Label changes on video, counted by hand; and a real clip where one is at hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bundle import REFERENCE, load
from edge.errors import EdgeError

pytestmark = pytest.mark.export
clips = pytest.importorskip("export.card.clips")
DATA = Path(__file__).parents[4] / "shared" / "data"
GIF = DATA / "video" / "head-pose-face-detection-male.gif"


def baseline(faces: np.ndarray) -> np.ndarray:
    """Logits of a head without memory: faces bright above are of class 1 to it, others of class 0."""
    bright = faces[..., :24, :].mean(axis=(2, 3, 4))
    return np.stack([-bright, bright, *np.full((6, *bright.shape), -9.0)], axis=-1).astype(np.float32)


def test_changes_are_counted_over_all_tracks_that_last(tmp_path) -> None:
    clip = tmp_path / "a.mp4"
    clip.touch()
    steady = np.full((20, 48, 48), 28, np.uint8)
    steady[:, 24:] = 228
    blinking = steady.copy()
    blinking[[5, 10, 15]] = steady[0, ::-1]
    tracks = [blinking, steady, blinking[:9]]
    found = clips.on_clips(
        load(REFERENCE), [clip], 0.7, temperature=1.0, crops_of=lambda *_: tracks, baseline=baseline
    )["of"]["a.mp4"]
    assert (found["tracks"], found["steps"]) == (2, 40)
    assert found["changes_per_100_steps"]["per frame"] == 6 / 40 * 100
    assert set(found["changes_per_100_steps"]) == {"recurrent", "per frame", "per frame, EMA 0.7"}
    assert found["sha256"].startswith("e3b0c442"), "of an empty file"
    assert 0 <= found["uncertain"] <= 1


def test_a_clip_without_faces(tmp_path) -> None:
    clip = tmp_path / "a.mp4"
    clip.touch()
    found = clips.on_clips(load(REFERENCE), [clip], 0.5, 1.0, crops_of=lambda *_: [], baseline=baseline)
    assert found["of"]["a.mp4"]["steps"] == 0


def test_clips_are_looked_for_before_hours_of_work(tmp_path) -> None:
    here, there = tmp_path / "a.mp4", tmp_path / "more" / "a.mp4"
    there.parent.mkdir()
    here.touch()
    with pytest.raises(EdgeError, match="no clip"):
        clips.check_clips([here, there])
    there.touch()
    with pytest.raises(EdgeError, match=r"called a\.mp4"):
        clips.check_clips([here, there])
    with pytest.raises(EdgeError, match="nowhere"):
        clips.check_clips([], "nowhere.onnx")
    with pytest.raises(EdgeError, match=r"a\.mp4"):
        clips.check_clips([here])
    video = cv2.VideoWriter(str(here), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
    video.write(np.zeros((64, 64, 3), np.uint8))
    video.release()
    clips.check_clips([here])


@pytest.mark.skipif(not GIF.is_file(), reason=f"no clip {GIF}")
def test_a_real_clip() -> None:
    measured = clips.on_clips(load(REFERENCE), [GIF], 0.5, 1.0)
    assert measured["detector"] in ("YuNetDetector", "HaarDetector")
    found = measured["of"][GIF.name]
    assert found["tracks"] >= 1
    assert found["steps"] > 20
    assert found["changes_per_100_steps"]["recurrent"] < 20

"""The picture of the tracks, and their summary."""

from __future__ import annotations

from pathlib import Path

import cv2
import estimates
import numpy as np
import pytest
from contracts import check_picture_sink
from full_disk import full_disk

from edge.data import UNCERTAIN, EmotionEstimate, Frame
from edge.errors import ConfigError
from edge.sinks.trajectory import TrackSummary, TrajectorySink

pytest.importorskip("matplotlib", reason="the picture needs the extra [demo]")
LABELS = ("neutral", "happiness", "sadness")


def estimate(
    track: int, at_s: float, label: str, *shares: float, fresh: bool = True, warm: bool = True
) -> EmotionEstimate:
    changes = {"track_id": track, "timestamp_s": at_s, "fresh": fresh, "warm": warm}
    return estimates.estimate(shares, LABELS, label=label, **changes)


def frame(at_s: float) -> Frame:
    return Frame(np.zeros((48, 64), np.uint8), at_s, round(at_s * 10))


def height(path: Path) -> int:
    image = cv2.imread(str(path))
    assert image is not None, f"{path} is no picture"
    assert image.std() > 1, f"{path} is blank"
    return int(image.shape[0])


def test_a_single_estimate_is_an_area_of_its_colors(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    with TrajectorySink(str(path)) as sink:
        sink.write(frame(0.0), [estimate(1, 0.0, "happiness", 0.3, 0.6, 0.1)])
    picture = cv2.imread(str(path)).reshape(-1, 3)
    hues = [tuple(color) for color in picture[(picture.max(axis=1) - picture.min(axis=1)) > 40]]
    assert len(hues) > 0.3 * len(picture), "most of the picture is a color of happiness"


def test_labels_are_no_formulas_and_may_be_of_any_script(tmp_path: Path) -> None:
    path, labels = tmp_path / "t.png", (r"$\frac$", "$_^{$", "\u559c\u3073")
    odd = estimates.estimate((0.2, 0.3, 0.5), labels)
    with TrajectorySink(str(path)) as sink:  # a warning would fail the test
        sink.write(frame(0.0), [odd])
    assert height(path)


def test_contract(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    check_picture_sink(TrajectorySink(str(path)), frame(0), [estimate(1, 0.0, "neutral", 0.8, 0.1, 0.1)])
    assert height(path) > 100
    assert [file.name for file in tmp_path.iterdir()] == ["t.png"]


def test_the_picture_is_ours_and_a_foreign_one_stays(tmp_path: Path) -> None:
    path, mine = tmp_path / "t.png", tmp_path / "mine.png"
    for _ in range(2):
        with TrajectorySink(str(path)) as sink:
            sink.write(frame(0), [])
    cv2.imwrite(str(mine), np.zeros((8, 8), np.uint8))
    before = mine.read_bytes()
    with pytest.raises(ConfigError, match=r"mine\.png exists and was not written by emotion-edge"):
        TrajectorySink(str(mine))
    assert mine.read_bytes() == before
    with TrajectorySink(str(mine), force=True) as sink:
        sink.write(frame(0), [])
    assert mine.read_bytes() != before


def test_on_a_full_disk_the_file_is_named_and_an_earlier_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    with TrajectorySink(str(path)) as sink:
        sink.write(frame(0), [])
    before = path.read_bytes()
    sink = TrajectorySink(str(path))
    sink.write(frame(0), [])
    with full_disk(100), pytest.raises(ConfigError, match=r"t\.png cannot be written .*; what was written"):
        sink.close()
    assert path.read_bytes() == before
    (part,) = tmp_path.glob(".t.png.*.part")
    assert part.stat().st_size == 100


def test_a_run_that_ends_before_its_first_frame_leaves_the_earlier_picture(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    with TrajectorySink(str(path)) as sink:
        sink.write(frame(0), [])
    before = path.read_bytes()
    with TrajectorySink(str(path)):
        pass
    assert path.read_bytes() == before


def test_summary(tmp_path: Path) -> None:
    with TrajectorySink(str(tmp_path / "t.png")) as sink:
        sink.write(frame(1.0), [estimate(2, 1.0, "happiness", 0.2, 0.6, 0.2, warm=False)])
        sink.write(frame(1.1), [estimate(2, 1.1, "happiness", 0.1, 0.8, 0.1)])
        sink.write(frame(1.2), [estimate(2, 1.2, "neutral", 0.9, 0.1, 0.0)])
        sink.write(frame(1.3), [estimate(2, 1.3, "neutral", 0.9, 0.1, 0.0, fresh=False)])
        sink.write(frame(1.4), [estimate(1, 1.4, UNCERTAIN, 0.4, 0.3, 0.3)])
    first, second = sink.summary()
    assert first == TrackSummary(1, 1.4, 1.4, 1, ((UNCERTAIN, "0.40"),))
    assert second == TrackSummary(2, 1.0, 1.2, 3, (("happiness", "0.50"),))
    assert second.text() == "happiness (0.50)"


def test_each_track_has_a_panel_up_to_a_limit(tmp_path: Path) -> None:
    heights = []
    for tracks in (0, 1, 3, 40):
        path = tmp_path / f"{tracks}.png"
        with TrajectorySink(str(path)) as sink:
            for at_s in (0.0, 0.5):
                sink.write(frame(at_s), [estimate(i, at_s, "neutral", 0.8, 0.1, 0.1) for i in range(tracks)])
        assert len(sink.summary()) == tracks
        heights.append(height(path))
    none, one, three, many = heights
    assert none == one < three < many < 8000


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.jpg.*\.png"):
        TrajectorySink(str(tmp_path / "t.jpg"))
    with pytest.raises(ConfigError, match="mkdir -p"):
        TrajectorySink(str(tmp_path / "none" / "t.png"))


def test_labels_of_other_scripts_and_signs_of_formulas(tmp_path: Path) -> None:
    """Warnings are errors here: of a missing glyph, too. A formula that is none would end the picture."""
    labels = ("злость", "غضب", "愤怒", "क्रोध", "a$b$c{", "_hidden", "😀")
    path = tmp_path / "t.png"
    with TrajectorySink(str(path)) as sink:
        for track, label in enumerate(labels):
            shares = [1 / len(labels)] * len(labels)
            sink.write(frame(0.0), [estimates.estimate(shares, labels, label=label, track_id=track)])
    assert height(path) > 100

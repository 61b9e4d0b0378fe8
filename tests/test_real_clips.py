"""The shipped program on real video, with YuNet. Skipped where the shared data folder is absent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
YUNET = DATA / "models" / "face_detection_yunet_2023mar.onnx"

pytestmark = pytest.mark.skipif(not YUNET.is_file(), reason=f"no test videos in {DATA}")


def tracks_of(clip: str, *options: str) -> dict[int, list[dict[str, Any]]]:
    """JSON lines of one clip by track."""
    command = [sys.executable, "-m", "edge", "run", str(DATA / "video" / clip), "--jsonl", "-"]
    command += ["--set", f"detector.model={YUNET}", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    tracks = defaultdict(list)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        tracks[row["track_id"]].append(row)
    return tracks


def test_a_smiling_man_is_one_happy_track() -> None:
    (rows,) = tracks_of("head-pose-face-detection-male.gif").values()
    labels = Counter(row["label"] for row in rows)
    assert len(rows) >= 45, "10 estimates per second over 5 seconds"
    assert labels["happiness"] > 0.8 * len(rows), labels


def test_two_people_keep_their_two_tracks() -> None:
    tracks = tracks_of("head-pose-face-detection-female-and-male.gif")
    assert len(tracks) == 2, {number: len(rows) for number, rows in tracks.items()}
    for rows in tracks.values():
        assert len(rows) >= 40
    left, right = ([row["box"][0] for row in rows] for rows in tracks.values())
    ordered = [a < b for a, b in zip(left, right, strict=False)]
    assert len(set(ordered)) == 1, "the ids changed sides"


def test_a_face_that_enters_gets_an_estimate_within_half_a_second() -> None:
    entry_s = 3.91  # first picture of the person, read off the clip
    tracks = tracks_of("noface_face.mov")
    first_s = min(row["timestamp_s"] for rows in tracks.values() for row in rows)
    assert entry_s <= first_s <= entry_s + 0.5
    assert len(tracks) == 1


def test_no_face_no_estimate() -> None:
    assert tracks_of("no_face.mp4") == {}


def test_far_tiny_faces_give_no_confident_anger() -> None:
    tracks = tracks_of("one-by-one-person-detection.mp4")
    assert not [row for rows in tracks.values() for row in rows if row["label"] == "anger"]


@pytest.mark.parametrize("clip", ["again.mkv", "bird.mkv", "book.mkv", "sister.mkv"])
def test_hands_over_the_face_do_not_break_the_track(clip: str) -> None:
    tracks = tracks_of(clip)
    assert len(max(tracks.values(), key=len)) >= 20
    assert len(tracks) <= 2, "one person, and a second face in one clip"


def test_int8_agrees_with_fp32_on_video() -> None:
    slow = tracks_of("head-pose-face-detection-male.gif")[1]
    fast = tracks_of("head-pose-face-detection-male.gif", "--set", "bundle.precision=int8-cpu")[1]
    assert [row["label"] for row in slow] == [row["label"] for row in fast]

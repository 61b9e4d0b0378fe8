"""The demo's known truth, found again by the whole program, with Haar and with YuNet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.demo import ACTORS, DURATION_S, FPS, face_square, visible

ROOT = Path(__file__).parents[1]
YUNET = ROOT.parent / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"
ARRIVAL_S = 1.15  # while others are looked at, the whole frame is looked at once in 0.7 s, and then as below
TOLERANCE_S = 0.45  # two detections to confirm at 15 fps, a 10 Hz step, and half a face at the edge

DETECTORS = [
    pytest.param(["--set", "detector.kind=haar"], id="haar"),
    pytest.param(
        ["--set", f"detector.model={YUNET}"],
        id="yunet",
        marks=pytest.mark.skipif(not YUNET.is_file(), reason=f"no YuNet file at {YUNET}"),
    ),
]


@pytest.mark.parametrize("options", DETECTORS)
def test_tracks_times_and_expressions_are_the_true_ones(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "edge", "demo", "--out", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    tracks = defaultdict(list)
    for line in (tmp_path / "estimates.jsonl").read_text().splitlines():
        row = json.loads(line)
        tracks[row["track_id"]].append(row)
    assert len(tracks) == len(ACTORS), "one track for each person"
    for rows, actor in zip(tracks.values(), ACTORS, strict=True):
        seen = [at / FPS for at in range(int(DURATION_S * FPS)) if visible(actor, at / FPS)]
        assert abs(rows[0]["timestamp_s"] - seen[0]) < ARRIVAL_S
        assert abs(rows[-1]["timestamp_s"] - seen[-1]) < TOLERANCE_S
        for row in rows[5:-5]:
            x, y, side = face_square(actor, row["timestamp_s"])
            found = np.reshape(row["box"], (2, 2)).mean(axis=0)
            assert np.abs(found - (x, y)).max() < 0.2 * side, f"{actor.name} is not where its box is"
        labels = Counter(row["label"] for row in rows)
        assert labels.most_common(1)[0][0] == actor.expression, labels
    assert "happiness" in done.stdout, "the table names the expression"
    assert cv2.imread(str(tmp_path / "trajectory.png")) is not None
    clip = cv2.VideoCapture(str(tmp_path / "annotated.mp4"))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == DURATION_S * FPS
    clip.release()

"""The summary at the end of a run, for people and for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
RUN = ["run", "demo", "--max-frames", "3", "--precision", "fp32", "--summary", "json"]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "run", *map(str, words), "--precision", "fp32"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_for_programs(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    done = run("demo", "--max-frames", 120, "--jsonl", lines, "--summary", "json")
    found = json.loads(done.stdout)
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert found["schema"] == "emotion-edge-summary/1"
    assert (found["frames"], found["dropped"]) == (120, 0)
    assert found["source_s"] == pytest.approx(119 / 15, abs=0.01)
    assert found["estimates"] == len(written) > 0
    assert found["seen"] > 0
    assert found["faces"] == len({line["track_id"] for line in written}) == 2
    assert found["uncertain"] == pytest.approx(
        sum(line["label"] == "uncertain" for line in written) / len(written), abs=1e-3
    )
    assert "frames in" not in done.stderr


@pytest.mark.parametrize(("frames", "tells"), [(6, True), (60, False)])
def test_for_people_it_says_what_to_try_without_a_face(frames: int, tells: bool) -> None:
    done = run("demo", "--max-frames", frames, "--jsonl", "/dev/null")
    assert f"{frames} frames in " in done.stderr
    assert ("no face was found; try source.rotate" in done.stderr) == tells
    assert done.returncode == 0


def test_a_summary_that_nobody_can_see_is_refused_at_the_start() -> None:
    command = [sys.executable, "-m", "edge", "run", "demo", "--summary", "json", "--precision", "fp32"]
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(shell, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "output.summary is json, but standard output is closed" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [["config", "print"], ["--help"], RUN])
def test_a_full_disk_under_standard_output_is_named(words: list[str]) -> None:
    command = [sys.executable, "-m", "edge", *words]
    for unbuffered in ("", "1") if words != ["--help"] else ("",):  # argparse itself takes no notice
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last.removeprefix("emotion-edge: ") == "error: standard output: No space left on device"


def test_a_run_that_broke_off_is_given_no_advice_about_faces() -> None:
    done = run("demo", "--jsonl", "/dev/full")
    assert done.returncode == 2
    assert "cannot be written (No space left on device)" in done.stderr
    assert "no face was found" not in done.stderr


def test_faces_that_were_seen_but_not_tracked_are_not_denied() -> None:
    """As in a clip of one frame of many, or one picture a second of somebody who walks by."""
    done = run("demo", "--max-frames", 60, "--jsonl", "/dev/null", "--set", "tracker.confirm=99")
    assert "no face was tracked: " in done.stderr
    assert "but none 99 times on end; try tracker.confirm=1" in done.stderr
    assert "no face was found" not in done.stderr


@pytest.mark.parametrize(("least", "tells"), [(48, False), (300, True)])
def test_faces_that_are_too_small_are_told_of(least: int, tells: bool) -> None:
    words = ["demo", "--max-frames", 60, "--jsonl", "/dev/null", "--set", f"decision.min_face_px={least}"]
    done = run(*words)
    told = [line for line in done.stderr.splitlines() if "pixels were seen; 300 are needed" in line]
    assert len(told) == tells
    if tells:
        px = json.loads(run(*words, "--summary", "json").stdout)["face_px"]
        assert f"faces of {px} pixels" in told[0]
        assert 48 < px < 300


def test_a_still_counts_its_faces(tmp_path: Path) -> None:
    image = pytest.importorskip("skimage.data").astronaut()[..., ::-1]
    cv2.imwrite(str(tmp_path / "still.png"), image)
    found = json.loads(run(tmp_path / "still.png", "--jsonl", "/dev/null", "--summary", "json").stdout)
    assert found["seen"] == found["faces"] >= 1


def test_no_summary_before_the_error_of_a_source(tmp_path: Path) -> None:
    done = run(tmp_path / "none.mp4")
    assert done.returncode == 2
    assert "frames in" not in done.stderr


def test_an_unknown_form() -> None:
    done = run("demo", "--set", "output.summary=yaml")
    assert done.returncode == 2
    assert "output.summary is yaml, expected text or json" in done.stderr

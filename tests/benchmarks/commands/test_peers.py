"""The peers: what is compared, when a ratio counts, and how long boxes hold between two detections."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny

from benchmarks.baselines.pipelines import INTERVAL
from benchmarks.commands import peers
from benchmarks.scenes import frames as scenes
from edge import bundle as bundles
from edge.config import Config
from edge.config_file import load
from edge.engines import selection
from edge.engines.machine_cache import remember
from edge.engines.measure import Choice

DATA = Path(__file__).parents[4] / "shared" / "data"
YUNET = DATA / "models" / "face_detection_yunet_2023mar.onnx"
XCEPTION = DATA / "models" / "peer_mini_xception_fer2013.onnx"
GIFS = ["head-pose-face-detection-male.gif", "head-pose-face-detection-female-and-male.gif"]
HAAR = ("--set", "detector.kind=haar")
needs_data = pytest.mark.skipif(not (YUNET.is_file() and XCEPTION.is_file()), reason=f"no models in {DATA}")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny bundle, for which `check` has found three threads to be fastest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tiny.write(tmp_path / "bundle")
    known = Choice("onnxruntime", "fp32", 3, "a test")
    remember(bundles.load(folder), known, selection.traits(selection.backends_here(Config())))
    return folder


def clip(path: Path, pictures: list[np.ndarray]) -> Path:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def gray(path: Path, count: int = 8) -> Path:
    return clip(path, [np.full((240, 320, 3), 120, np.uint8)] * count)


def run(bundle: Path, *words: object) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    peers.add_options(parser)
    return peers.run(parser.parse_args(["--bundle", str(bundle), "--seconds", "0.01", *map(str, words)]))


def figures(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in made["figures"]}


def test_a_ratio_counts_only_where_as_many_faces_were_found() -> None:
    names = {peers.OURS: 2.0, peers.EVERY: 1.91, "more": 2.11, "none": 0.0}
    found = {name: [[10.0, 10.0]] * 10 for name in names} | {
        peers.STEP: [[1.0]] * 10, "network: large": [[4.0]] * 10,
    }  # fmt: skip
    rows = {row["name"]: row for row in peers.figures_of(found, names)}
    assert rows["faces found a frame: none"]["value"] == 0
    assert rows[f"{peers.EVERY} / {peers.OURS}"]["value"] == 1
    assert rows[f"more / {peers.OURS}"]["value"] is None
    assert "2.11 a frame, ours 2.00" in rows[f"more / {peers.OURS}"]["note"]
    assert rows[f"none / {peers.OURS}"]["note"] == "no face was found"
    assert rows[f"network: large / {peers.STEP}"]["value"] == 4


def test_nothing_is_compared_on_frames_without_a_face(bundle: Path, tmp_path: Path) -> None:
    found = figures(run(bundle, *HAAR, "--video", gray(tmp_path / "gray.avi")))
    assert found[f"faces found a frame: {peers.OURS}"]["value"] == 0
    assert found[f"{peers.EVERY} / {peers.OURS}"]["value"] is None
    (kept,) = (row for name, row in found.items() if "held" in name)
    assert (kept["value"], kept["note"]) == (None, "no face was found")


def test_ours_runs_on_one_thread_and_says_what_stands_in(bundle: Path, tmp_path: Path) -> None:
    face = clip(tmp_path / "face.avi", [cv2.resize(one.image, (160, 120)) for one in scenes.one_face()])
    made = run(bundle, *HAAR, "--luma", "--video", face)
    setup = made["fingerprint"]["setup"]
    assert (setup["threads"], setup["detector_every"]) == (1, INTERVAL)
    notes = " | ".join(made["notes"])
    for told in ("Haar cascade stands in", "--luma", "mini-XCEPTION is left out", "the per-frame CNN is our"):
        assert told in notes
    found = figures(made)
    assert found[f"detections a frame: {peers.EVERY}"]["value"] == 1
    assert 0.2 <= found[f"detections a frame: {peers.OURS}"]["value"] < 0.5


@needs_data
def test_the_same_face_goes_through_every_peer(bundle: Path) -> None:
    made = run(bundle, "--detector", YUNET, "--peer", XCEPTION)
    found = figures(made)
    for name in ("Haar + mini-XCEPTION", "YuNet 320 + mini-XCEPTION"):
        assert found[f"faces found a frame: {name}"]["value"] == 1, "the scene shows one face"
        assert found[f"{name} / {peers.OURS}"]["value"] > 0
    assert found[f"faces found a frame: {peers.OURS}"]["value"] == 1
    assert not any("left out" in note for note in made["notes"] if "XCEPTION" in note)
    assert {entry["name"] for entry in made["fingerprint"]["inputs"]} == {YUNET.name, XCEPTION.name}


def test_several_clips_are_compared_one_by_one_and_then_by_their_median(bundle: Path, tmp_path: Path) -> None:
    shown = [cv2.resize(one.image, (160, 120)) for one in scenes.one_face()]
    clips = [clip(tmp_path / f"{name}.avi", shown) for name in "ab"]
    found = figures(made := run(bundle, *HAAR, "--video", *clips, gray(tmp_path / "gray.avi")))
    ratio = f"{peers.EVERY} / {peers.OURS}"
    each = [found[f"{name}.avi: {ratio}"]["value"] for name in ("a", "b", "gray")]
    assert each[2] is None, "no face"
    over = found[f"median over clips: {ratio}"]
    assert over["value"] == pytest.approx(np.mean(each[:2]))
    assert over["note"] == "2 of 3 clips"
    assert not [name for name in found if "network" in name or name.startswith("median over clips: faces")]
    assert len({row["name"] for row in made["measurements"]}) == len(made["measurements"]) == 6
    assert {entry["name"] for entry in made["fingerprint"]["inputs"]} == {"a.avi", "b.avi", "gray.avi"}


@pytest.mark.skipif(not YUNET.is_file(), reason=f"no YuNet file at {YUNET}")
@pytest.mark.parametrize("name", GIFS)
def test_boxes_of_every_fifth_frame_hold_those_of_the_detector_alone(name: str) -> None:
    if not (DATA / "video" / name).is_file():
        pytest.skip(f"no {name} in {DATA}")
    settings = ["detector.kind=yunet", f"detector.model={YUNET}", "detector.every=5"]
    kept = peers.overlap(load(None, settings), scenes.video(DATA / "video" / name))
    assert kept["value"] >= 0.95, kept["note"]
    assert float(kept["note"].split("; ")[-1].split()[0]) < 0.25, "it looks in few of the frames"


def test_boxes_that_stand_still_while_the_face_goes_do_not_hold(bundle: Path) -> None:
    settings = ["detector.kind=haar", "detector.every=1000", f"bundle.path={bundle}"]
    wanted, frames = load(None, settings), scenes.one_face()
    still = peers.overlap(wanted, [replace(frame, image=frames[0].image) for frame in frames])
    assert still["value"] == pytest.approx(1 - 1 / len(frames)), "all but the frame before the track begins"
    moved = [replace(frame, image=np.roll(frame.image, 12 * at, 1)) for at, frame in enumerate(frames)]
    assert peers.overlap(wanted, moved)["value"] < 0.9


def test_no_more_frames_than_memory_allows(tmp_path: Path) -> None:
    path, notes = gray(tmp_path / "gray.avi"), []
    each = 240 * 320 * 3
    assert len(peers.video(path, 5, notes)) == 5
    assert len(peers.video(path, 8, notes, 8 * each)) == 8
    assert notes == []
    assert len(peers.video(path, 8, notes, 3 * each)) == 3
    assert notes == ["the first 3 frames: more would take over 1 MB"]

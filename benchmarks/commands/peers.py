"""``emotion-bench peers``: the same frames through alternatives to emotion-edge, in one run on one machine.

All run on one thread, without decoding. A ratio counts only if both sides found equally many faces.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.baselines import networks, pipelines
from benchmarks.baselines.pipelines import INTERVAL
from benchmarks.core import harness, stats
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.scenes import frames as scenes
from edge import session
from edge.cli.options import add_settings
from edge.config import Config
from edge.data import Frame
from edge.faces import detectors
from edge.faces.haar import HaarDetector
from edge.faces.tracker import iou
from edge.pipeline import Pipeline
from edge.session import Parts

HELP = "run the same video through other programs: Haar or YuNet with mini-XCEPTION, a larger network"
OURS, EVERY, STEP = f"ours, detector every {INTERVAL} frames", "ours, detector every frame", "our step, alone"
MOST_BYTES = 300_000_000  # of decoded frames
SAME_FACES = 0.05  # of our number of faces, by which a peer's may differ
Rounds = list[list[float]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The video, the models of the peers, and the settings."""
    parser.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        nargs="+",
        help="video to run on, or several and the median over them (default: a scene with one moving face)",
    )
    parser.add_argument(
        "--peer", type=Path, metavar="ONNX", help="file of mini-XCEPTION, with input (N,1,64,64)"
    )
    parser.add_argument("--detector", type=Path, metavar="ONNX", help="file of YuNet, for both sides")
    parser.add_argument(
        "--frames",
        type=harness.count,
        default=150,
        metavar="N",
        help="stop after N frames of the video (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=harness.positive,
        default=0.3,
        help="seconds for each program and round (default: %(default)g)",
    )
    parser.add_argument(
        "--luma",
        action="store_true",
        help="give this program gray frames, as cameras do; the others get color",
    )
    add_settings(parser)


def run(args: argparse.Namespace) -> Report:
    """Measure our pipeline and all peers in turns, and their ratios to ours."""
    notes: list[str] = []
    clips: list[Path | None] = args.video or [None]
    base = harness.on_threads(_settings(args), 1)  # as many as the peers
    cv2.setNumThreads(1)
    several = len(clips) > 1
    measurements: list[dict[str, Any]] = []
    rows: list[list[dict[str, Any]]] = []
    for clip in clips:
        frames = video(clip, args.frames, notes) if clip else scenes.one_face()
        times, figures, fingerprint = _compare(args, base, frames, notes, networks_too=not several)
        prefix = f"{clip.name}: " if clip and several else ""
        measurements += [measurement(prefix + name, rounds) for name, rounds in times.items()]
        rows.append([row | {"name": prefix + row["name"]} for row in figures])
    own = [row for part in rows for row in part] + (over_clips(clips, rows) if several else [])
    return report("peers", fingerprint, measurements, own, notes=list(dict.fromkeys(notes)))


def _compare(
    args: argparse.Namespace, base: Config, frames: Sequence[Frame], notes: list[str], networks_too: bool
) -> tuple[dict[str, Rounds], list[dict[str, Any]], dict[str, Any]]:
    """Times, figures and fingerprint of one scene; ``networks_too``: also of the networks alone."""
    ours = scenes.luma(frames) if args.luma else frames
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(
                harness.open_parts(replace(base, detector=replace(base.detector, every=every)))
            )
            for name, every in ((EVERY, 1), (OURS, INTERVAL))
        }
        parts = sides[OURS]
        _add_notes(parts, args.luma, notes)
        rows = {name: harness.stepper(side, ours) for name, side in sides.items()}
        rows |= pipelines.with_faces(args.peer, args.detector, [frame.image for frame in frames], notes)
        faces = {name: faces_a_frame(call, len(frames)) for name, call in rows.items()}
        work: dict[str, Callable[[], object]] = {**rows}
        if networks_too:
            own = networks.own_network(parts.engine, parts.bundle, base.bundle.precision, notes)
            work |= own | networks.others(parts.bundle, notes)
        # A sample is one whole turn of the detector, so that medians contain its share.
        calls = dict.fromkeys(work, INTERVAL) | dict.fromkeys(sides, harness.TURN)
        times = harness.take_turns(work, seconds=args.seconds, least=1, calls=calls)
        held = overlap(parts.config, ours)
        inputs = [path for path in (*(args.video or ()), args.peer, args.detector) if path]
        fingerprint = harness.fingerprint_of(parts, inputs=inputs)
        detections = [_detections(name, side.pipeline) for name, side in sides.items()]
    return times, [held, *detections, *figures_of(times, faces)], fingerprint


def over_clips(
    clips: Sequence[Path | None], rows: Sequence[Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The median over clips of each ratio and share, of the clips in which it counts."""
    values: dict[str, list[float]] = {}
    units: dict[str, str] = {}
    for clip, figures in zip(clips, rows, strict=True):
        for row in figures:
            name = row["name"].removeprefix(f"{clip.name}: " if clip else "")
            units[name] = row["unit"]
            values.setdefault(name, []).extend([] if row["value"] is None else [row["value"]])
    return [
        figure(
            f"median over clips: {name}", float(np.median(found)) if found else None, units[name],
            note=f"{len(found)} of {len(clips)} clips",
        )
        for name, found in values.items() if units[name]
    ]  # fmt: skip


def video(path: Path, most: int, notes: list[str], most_bytes: int = MOST_BYTES) -> list[Frame]:
    """The first ``most`` frames of a file, or as many as fit in ``most_bytes``."""
    room = max(most_bytes // scenes.video(path, 1)[0].image.nbytes, 1)
    frames = scenes.video(path, min(most, room))
    if len(frames) == room < most:
        notes.append(f"the first {room} frames: more would take over {most_bytes / 1e6:.0f} MB")
    return frames


def _settings(args: argparse.Namespace) -> Config:
    config = harness.settings(args)
    if args.detector:
        config = replace(config, detector=replace(config.detector, kind="yunet", model=str(args.detector)))
    return config


def _add_notes(parts: Parts, luma: bool, notes: list[str]) -> None:
    """What the reader has to know about our side."""
    notes.append(f"ours: {parts.engine.serves}, a step of the network in each frame")
    if luma:
        notes.append("ours gets the luma plane, as from a camera (--luma); the peers get color")
    if isinstance(parts.detector, HaarDetector):
        notes.append("OpenCV's Haar cascade stands in for our detector: pass --detector ONNX")


def faces_a_frame(step: Callable[[], int], frames: int) -> float:
    """Mean number of faces over ``frames`` calls, after those in which tracks begin."""
    for _ in range(INTERVAL):
        step()
    return sum(step() for _ in range(frames)) / frames


def overlap(config: Config, frames: Sequence[Frame]) -> dict[str, Any]:
    """The share of frames in which our tracks hold every box of the detector alone, at an IoU of 0.5.

    The detector alone runs in each frame at full width; its boxes count from the score that begins a track.
    All frames in which it finds a face count, even those in which a track waits for its second detection.
    """
    with harness.open_parts(config) as parts:
        pipeline = parts.pipeline
        tracked = [[estimate.box_xyxy for estimate in pipeline.step(frame)] for frame in frames]
        detections = pipeline.detections / pipeline.steps
    with session.parts(config) as parts:
        part, _ = detectors.choose(config.detector, parts.bundle.folder)
        least = part.starts_tracks_at(config.detector)
        alone = [[f.box_xyxy for f in parts.detector.detect(x) if f.score >= least] for x in frames]
    held = [
        [any(iou(box, other) >= 0.5 for other in ours) for box in boxes]
        for ours, boxes in zip(tracked, alone, strict=True)
        if boxes
    ]
    name = "frames with all boxes of the detector alone held, IoU >= 0.5"
    if not held:
        return figure(name, None, "of all", note="no face was found")
    boxes = float(np.mean([box for frame in held for box in frame]))
    note = f"{len(held)} frames; {boxes:.3f} of the boxes; {detections:.3f} detections a frame"
    return figure(name, float(np.mean([all(frame) for frame in held])), "of all", note=note)


def _detections(name: str, pipeline: Pipeline) -> dict[str, Any]:
    note = "the detector runs again at once when a face appears or gets lost"
    return figure(f"detections a frame: {name}", pipeline.detections / pipeline.steps, note=note)


def figures_of(times: Mapping[str, Rounds], faces: Mapping[str, float]) -> list[dict[str, Any]]:
    """The number of faces that each found, and the ratio of its time to ours."""
    rows = [figure(f"faces found a frame: {name}", number) for name, number in faces.items()]
    for name, rounds in times.items():
        if name in (OURS, STEP):
            continue
        ours = OURS if name in faces else STEP
        fault = _difference(faces[name], faces[OURS]) if name in faces else ""
        value = None if fault else stats.ratio(rounds, times[ours])
        rows.append(figure(f"{name} / {ours}", value, "x", note=fault))
    return rows


def _difference(theirs: float, ours: float) -> str:
    """Why two sides did not do the same work; empty if they did."""
    if not theirs or not ours:
        return "no face was found"
    if abs(theirs - ours) > SAME_FACES * ours:
        return f"not the same faces: {theirs:.2f} a frame, ours {ours:.2f}"
    return ""

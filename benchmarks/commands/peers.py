"""``emotion-bench peers``: the same frames through what one would take instead, in one run on one machine.

All run on one thread, without decoding. A ratio counts only where both sides found as many faces.
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

from benchmarks.baselines import baselines, networks
from benchmarks.baselines.baselines import INTERVAL, PEER_WIDTH
from benchmarks.baselines.networks import WINDOW
from benchmarks.core import harness, stats
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.scenes import frames as scenes
from edge import session
from edge.__main__ import add_settings
from edge.bundle import Bundle
from edge.config import Config
from edge.data import Frame
from edge.faces.haar import HaarDetector
from edge.faces.tracker import iou
from edge.pipeline import Pipeline

HELP = "the same video through Haar or YuNet with mini-XCEPTION, a window, smoothing, a larger network"
OURS, EVERY, STEP = f"ours, detector every {INTERVAL} frames", "ours, detector every frame", "our step, alone"
MOST_BYTES = 300_000_000  # of decoded frames
SAME_FACES = 0.05  # of our number of faces, by which that of a peer may differ
ASKED = {
    "Haar + mini-XCEPTION": ">= 40",
    f"YuNet {PEER_WIDTH} + mini-XCEPTION": ">= 5",
    f"network: a window of {WINDOW} frames again": ">= 12",
}
Rounds = list[list[float]]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--video", type=Path, metavar="V", help="default: a scene with one moving face")
    parser.add_argument("--peer", type=Path, metavar="ONNX", help="mini-XCEPTION, input (N,1,64,64)")
    parser.add_argument("--detector", type=Path, metavar="ONNX", help="YuNet, for us and for the peers")
    parser.add_argument(
        "--frames", type=harness.count, default=150, help="most frames of the video (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=harness.positive, default=0.3, help="of each peer a round (default: %(default)g)"
    )
    parser.add_argument("--luma", action="store_true", help="we get the luma plane, as from a camera")
    add_settings(parser)


def run(args: argparse.Namespace) -> Report:
    """Measure ourselves and all peers in turns, and say how many times as long each takes."""
    notes: list[str] = []
    frames = video(args.video, args.frames, notes) if args.video else scenes.one_face()
    ours = scenes.luma(frames) if args.luma else frames
    base = harness.on_threads(_settings(args), 1)  # as many as the peers
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        pipelines: dict[str, Pipeline] = {}
        for name, every in ((EVERY, 1), (OURS, INTERVAL)):
            wanted = _looking(base, every)
            bundle, pipelines[name] = stack.enter_context(harness.rig(wanted))
        _about(pipelines[OURS], args.luma, notes)
        rows = {
            name: harness.stepper(one, ours, bundle.manifest["step_hz"]) for name, one in pipelines.items()
        }
        rows |= baselines.with_faces(args.peer, args.detector, [frame.image for frame in frames], notes)
        faces = {name: faces_a_frame(call, len(frames)) for name, call in rows.items()}
        work = rows | _networks(pipelines[OURS], bundle, base, notes)
        # A sample is one whole turn of the detector, so that medians hold its share.
        turns = dict.fromkeys(work, INTERVAL) | dict.fromkeys(pipelines, harness.TURN)
        found = harness.take_turns(work, seconds=args.seconds, least=1, calls=turns)
        kept = overlap(wanted, ours)
        inputs = [path for path in (args.video, args.peer, args.detector) if path]
        made = harness.ran(wanted, bundle, pipelines[OURS], inputs)
    figures = [kept, *(_looks(name, one) for name, one in pipelines.items()), *figures_of(found, faces)]
    return report("peers", made, [measurement(*row) for row in found.items()], figures, notes=notes)


def video(path: Path, most: int, notes: list[str], most_bytes: int = MOST_BYTES) -> list[Frame]:
    """The first ``most`` frames of a file, or as many as ``most_bytes`` hold."""
    room = max(most_bytes // scenes.video(path, 1)[0].image.nbytes, 1)
    found = scenes.video(path, min(most, room))
    if len(found) == room < most:
        notes.append(f"the first {room} frames: more would take over {most_bytes / 1e6:.0f} MB")
    return found


def _settings(args: argparse.Namespace) -> Config:
    wanted = harness.settings(args)
    if args.detector:
        wanted = replace(wanted, detector=replace(wanted.detector, kind="yunet", model=str(args.detector)))
    return wanted


def _looking(wanted: Config, every: int) -> Config:
    return replace(wanted, detector=replace(wanted.detector, every=every))


def _about(pipeline: Pipeline, luma: bool, notes: list[str]) -> None:
    """What the reader has to know of our side."""
    notes.append(f"ours: {pipeline.recognizer.engine.serves}, a step of the network in each frame")
    if luma:
        notes.append("ours gets the luma plane, as from a camera (--luma); the peers get color")
    if isinstance(pipeline.detector, HaarDetector):
        notes.append("OpenCV's Haar cascade stands in for our detector: pass --detector ONNX")


def _networks(pipeline: Pipeline, bundle: Bundle, base: Config, notes: list[str]) -> networks.Work:
    engine = pipeline.recognizer.engine
    own = networks.own_network(engine, bundle, base.bundle.precision, notes)
    return own | networks.others(bundle, notes)


def faces_a_frame(step: Callable[[], int], frames: int) -> float:
    """Mean number of faces over ``frames`` calls, after those in which a track begins."""
    for _ in range(INTERVAL):
        step()
    return sum(step() for _ in range(frames)) / frames


def overlap(wanted: Config, frames: Sequence[Frame]) -> dict[str, Any]:
    """The share of frames in which our tracks hold every box of the detector alone, at IoU of 0.5 or more.

    The detector alone looks in each frame at full width; its boxes count from the score that begins a track.
    All frames in which it has one count, those too in which a track waits for its second detection.
    """
    with harness.rig(wanted) as (bundle, pipeline):
        tracked = [[estimate.box_xyxy for estimate in pipeline.step(frame)] for frame in frames]
        looks = pipeline.looks / pipeline.steps
    with session.detector(wanted, bundle.folder) as alone:
        every = [[f.box_xyxy for f in alone.detect(x) if f.score >= alone.starts_at] for x in frames]
    held = [
        [any(iou(box, other) >= 0.5 for other in ours) for box in boxes]
        for ours, boxes in zip(tracked, every, strict=True)
        if boxes
    ]
    name = "frames with all boxes of the detector alone held, IoU >= 0.5"
    if not held:
        return figure(name, None, "of all", ">= 0.95", "no face was found")
    boxes = float(np.mean([box for frame in held for box in frame]))
    note = f"{len(held)} frames; {boxes:.3f} of the boxes; {looks:.3f} looks a frame"
    return figure(name, float(np.mean([all(frame) for frame in held])), "of all", ">= 0.95", note)


def _looks(name: str, pipeline: Pipeline) -> dict[str, Any]:
    note = "it looks again at once where a face comes or gets lost"
    return figure(f"looks of the detector a frame: {name}", pipeline.looks / pipeline.steps, note=note)


def figures_of(found: Mapping[str, Rounds], faces: Mapping[str, float]) -> list[dict[str, Any]]:
    """The faces that each found, and how many times as long as ours each takes."""
    rows = [figure(f"faces found a frame: {name}", number) for name, number in faces.items()]
    for name, rounds in found.items():
        if name in (OURS, STEP):
            continue
        ours = OURS if name in faces else STEP
        fault = _differs(faces[name], faces[OURS]) if name in faces else ""
        value = None if fault else stats.ratio(rounds, found[ours])
        rows.append(figure(f"{name} / {ours}", value, "x", ASKED.get(name, ""), fault))
    return rows


def _differs(theirs: float, ours: float) -> str:
    """Why two sides did not do the same work; empty where they did."""
    if not theirs or not ours:
        return "no face was found"
    if abs(theirs - ours) > SAME_FACES * ours:
        return f"not the same faces: {theirs:.2f} a frame, ours {ours:.2f}"
    return ""

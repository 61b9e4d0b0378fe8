"""``emotion-bench peers``: the same frames through what one would take instead, in one run on one machine.

Every peer is written as its own users write it, on one thread, without decoding. The window is counted
in favour of the peer: its 16 frames go through the network as one batch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import efficientnet, harness, scenes, stats
from benchmarks.fingerprint import fingerprint
from benchmarks.model import step_feeds
from benchmarks.report import Report, figure, measurement, report
from edge.bundle import Bundle
from edge.config import Config
from edge.data import EmotionEstimate, Frame
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, ConfigError, DependencyError, require
from edge.faces.haar import load_cascade
from edge.faces.tracker import iou
from edge.pipeline import ALL_AROUND

HELP = "the same video through Haar or YuNet with mini-XCEPTION, a window, smoothing, a larger network"
OURS, EVERY = "ours, detector every 5 frames", "ours, detector every frame"
INTERVAL, WINDOW, PEER_WIDTH = 5, 16, 320
UInt8 = np.typing.NDArray[np.uint8]
Work = dict[str, Callable[[], object]]
ASKED = {"Haar + mini-XCEPTION": ">= 40", "YuNet 320 + mini-XCEPTION": ">= 5"}


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
    harness.add_settings(parser)


def run(args: argparse.Namespace) -> Report:
    """Measure ourselves and all peers in turns, and say how many times as long each takes."""
    frames = scenes.video(args.video, args.frames) if args.video else scenes.one_face()
    base = _settings(args)
    ours = scenes.luma(frames) if args.luma else frames
    notes: list[str] = []
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        work: Work = {}
        network = {}
        for name, every in ((OURS, INTERVAL), (EVERY, 1)):
            wanted = replace(base, detector=replace(base.detector, every=every))
            bundle, pipeline = stack.enter_context(harness.rig(wanted))
            work[name] = _stepper(pipeline, ours, bundle.manifest["step_hz"])
            network[name] = pipeline.recognizer.engine
        pictures = [frame.image for frame in frames]
        work |= _xception(args, pictures, notes)
        work |= _own_network(network[OURS], bundle, notes)
        work |= _others(bundle, notes)
        # A sample is one whole turn of the detector, so that medians hold its share.
        turns = dict.fromkeys(work, INTERVAL) | dict.fromkeys((OURS, EVERY), INTERVAL * ALL_AROUND)
        found = harness.take_turns(work, seconds=args.seconds, least=2, calls=turns)
        kept = overlap(base, ours)
        inputs = [path for path in (args.video, args.peer, args.detector) if path]
        made = fingerprint(bundle, inputs, harness.command_line(), 0)
    rows = [measurement(name, rounds) for name, rounds in found.items()]
    return report("peers", made, rows, _figures(found, kept), notes=[*notes, f"ours: {network[OURS].serves}"])


def _settings(args: argparse.Namespace) -> Config:
    wanted = harness.settings(args)
    if args.detector:
        wanted = replace(wanted, detector=replace(wanted.detector, kind="yunet", model=str(args.detector)))
    return wanted


def _stepper(pipeline: Any, frames: Sequence[Frame], step_hz: float) -> Callable[[], list[EmotionEstimate]]:
    """One frame a call, each due for a step of the network."""
    source = scenes.endless(frames, 1 / step_hz)
    return lambda: pipeline.step(next(source))


def overlap(base: Config, frames: Sequence[Frame]) -> float | None:
    """Of the boxes that the detector gives in every frame, the share that the tracks of every 5th frame hold.

    IoU of at least 0.5 counts; tracks that have not begun yet, because they wait for their second detection,
    do not. None without any face.
    """
    answers = []
    for every in (INTERVAL, 1):
        with harness.rig(replace(base, detector=replace(base.detector, every=every))) as (bundle, pipeline):
            period_s = 1 / bundle.manifest["step_hz"]
            answers.append([
                [e.box_xyxy for e in pipeline.step(replace(frame, timestamp_s=at * period_s))]
                for at, frame in enumerate(frames)
            ])  # fmt: skip
    begun = next((at for at, boxes in enumerate(answers[0]) if boxes), len(frames))
    held = [
        any(iou(box, other) >= 0.5 for other in sparse)
        for sparse, dense in list(zip(*answers, strict=True))[begun:]
        for box in dense
    ]
    return float(np.mean(held)) if held else None


def _figures(found: dict[str, list[list[float]]], kept: float | None) -> list[dict[str, Any]]:
    rows = [
        figure(
            "boxes held between detections, IoU >= 0.5", kept, "of all", ">= 0.95", "against every frame's"
        )
    ]
    step = found["our step, alone"]
    for name, rounds in found.items():
        if name in (OURS, "our step, alone"):
            continue
        if name.startswith("network:"):
            asked = ">= 12" if "window" in name else ""
            rows.append(figure(f"{name} / our step", stats.ratio(rounds, step), "x", asked))
        else:
            rows.append(
                figure(f"{name} / {OURS}", stats.ratio(rounds, found[OURS]), "x", ASKED.get(name, ""))
            )
    return rows


def _xception(args: argparse.Namespace, pictures: Sequence[UInt8], notes: list[str]) -> Work:
    """Haar and YuNet in OpenCV with mini-XCEPTION in each frame, and with our detector interval."""
    if not args.peer:
        notes.append("mini-XCEPTION is left out: pass --peer ONNX")
        return {}
    network = _MiniXception(args.peer)
    haar = _Haar()
    finders: dict[str, Callable[[UInt8], list[UInt8]]] = {"Haar": haar}
    if args.detector:
        height, width = pictures[0].shape[:2]
        finders[f"YuNet {PEER_WIDTH}"] = _YuNet(args.detector, width, height)
    work: Work = {}
    for name, finder in finders.items():
        work[f"{name} + mini-XCEPTION"] = _peer(finder, network, pictures, 1)
        work[f"{name} + mini-XCEPTION, every {INTERVAL} frames"] = _peer(finder, network, pictures, INTERVAL)
    return work


def _peer(
    finder: Callable[[UInt8], Sequence[Any]],
    network: Callable[[UInt8, Any], object],
    pictures: Sequence[UInt8],
    every: int,
) -> Callable[[], object]:
    """One frame a call: find faces in every ``every``-th, classify each face in all of them."""
    source = _turning(pictures)
    boxes: list[Any] = []
    count = 0

    def step() -> int:
        nonlocal boxes, count
        picture = next(source)
        if count % every == 0:
            boxes = list(finder(picture))
        count += 1
        for box in boxes:
            network(picture, box)
        return len(boxes)

    return step


def _turning(pictures: Sequence[UInt8]) -> Iterator[UInt8]:
    return cycle([*pictures, *reversed(pictures)])


class _Haar:
    """OpenCV's frontal cascade as its tutorial calls it."""

    def __init__(self) -> None:
        self._cascade = load_cascade("haarcascade_frontalface_default.xml")

    def __call__(self, picture: UInt8) -> Any:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        return self._cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5)


class _YuNet:
    """YuNet in OpenCV, on the frame shrunk to PEER_WIDTH."""

    def __init__(self, model: Path, width: int, height: int) -> None:
        self._scale = PEER_WIDTH / width
        self._size = PEER_WIDTH, round(height * self._scale)
        try:
            self._network = cv2.FaceDetectorYN.create(str(model), "", self._size, 0.7)
        except cv2.error as error:
            raise BundleError(
                f"{model} is no YuNet that OpenCV can read; fetch it: emotion-edge fetch"
            ) from error

    def __call__(self, picture: UInt8) -> Any:
        rows = self._network.detect(cv2.resize(picture, self._size))[1]
        return [] if rows is None else rows[:, :4] / self._scale


class _MiniXception:
    """Arriaga et al., "Real-time Convolutional Neural Networks for Emotion and Gender ..." (2017)."""

    def __init__(self, model: Path) -> None:
        ort = require("onnxruntime", "pip install 'emotion-edge[cpu]'")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class per status and no common base
            raise BundleError(f"{model} is no usable ONNX file ({str(error).splitlines()[0]})") from error
        (only,) = self._session.get_inputs()
        if list(only.shape[1:]) != [1, 64, 64]:
            raise ConfigError(f"--peer takes (N,1,64,64) faces; {model.name} takes {only.shape}")
        self._name = only.name

    def __call__(self, picture: UInt8, box: Any) -> Any:
        x, y, width, height = (max(int(v), 0) for v in box)
        face = picture[y : y + height, x : x + width]
        if not face.size:
            return None
        small = cv2.resize(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (64, 64)).astype(np.float32)
        return self._session.run(None, {self._name: (small / 127.5 - 1.0)[None, None]})[0]


def _own_network(engine: Any, bundle: Bundle, notes: list[str]) -> Work:
    """Our network alone: one step; a window of 16 frames again for each frame; per frame with smoothing."""
    one, many = step_feeds(bundle, 1), step_feeds(bundle, WINDOW)
    smoothed: Any = 0.0

    def per_frame() -> None:
        nonlocal smoothed
        logits = np.asarray(engine.run(one)["logits"])
        smoothed = 0.9 * smoothed + 0.1 * np.exp(logits - logits.max())

    notes.append(f"the window of {WINDOW} frames goes through our step graph as one batch")
    return {
        "our step, alone": lambda: engine.run(one),
        f"network: a window of {WINDOW} frames again": lambda: engine.run(many),
        "network: per frame with exponential smoothing": per_frame,
    }


def _others(bundle: Bundle, notes: list[str]) -> Work:
    """A network of EfficientNet-B0's size, and our float32 step in OpenCV's DNN module."""
    work: Work = {}
    ort = require("onnxruntime", "pip install 'emotion-edge[cpu]'")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        large = ort.InferenceSession(efficientnet.model(), options, providers=["CPUExecutionProvider"])
        x = np.zeros((1, 3, efficientnet.SIZE, efficientnet.SIZE), np.float32)
        work["network: EfficientNet-B0's size at 224x224"] = lambda: large.run(None, {"input": x})
        notes.append("EfficientNet-B0's size: random weights, speed only")
    except DependencyError as error:
        notes.append(f"EfficientNet-B0's size is left out: {error}")
    fp32 = OrtEngine(bundle.model("fp32"))
    feeds = step_feeds(bundle, 1)
    work["network: float32 in ONNX Runtime"] = lambda: fp32.run(feeds)
    try:
        work["network: float32 in OpenCV DNN"] = _opencv_dnn(bundle)
    except cv2.error as error:
        notes.append(
            f"OpenCV {cv2.__version__} DNN cannot run our step: {' '.join(str(error).split())[:150]}"
        )
    return work


def _opencv_dnn(bundle: Bundle) -> Callable[[], object]:
    """Our float32 step in OpenCV's DNN module, which has to reproduce ONNX Runtime to count."""
    network = cv2.dnn.readNetFromONNX(str(bundle.model("fp32")))
    feeds = step_feeds(bundle, 1)
    outputs = ["logits", *(tensor.output for tensor in bundle.state)]

    def step() -> Any:
        for name, value in feeds.items():
            network.setInput(value, name)
        return network.forward(outputs)

    expected = OrtEngine(bundle.model("fp32")).run(feeds)["logits"]
    if not np.allclose(step()[0], expected, atol=1e-3):
        raise cv2.error("its logits are not those of ONNX Runtime")
    return step

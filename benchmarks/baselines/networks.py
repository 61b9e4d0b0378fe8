"""Networks to compare with ours: our own as a window or per frame, a larger one, and OpenCV's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.baselines import efficientnet
from benchmarks.core.harness import step_feeds
from edge.bundle import Bundle
from edge.engines.ort import PROCESSOR, OrtEngine
from edge.errors import DependencyError, require
from edge.protocols import Engine
from edge.system.ort_session import onnxruntime, session_options

WINDOW = 16  # frames
Work = dict[str, Callable[[], object]]


def own_network(engine: Engine, bundle: Bundle, precision: str, notes: list[str]) -> Work:
    """Our network: one step, a re-run window of 16 frames, and its CNN per frame with smoothing."""
    one, many = step_feeds(bundle, 1), step_feeds(bundle, WINDOW)
    notes.append(f"the window of {WINDOW} frames runs through our step graph as one batch, in its favor")
    return {
        "our step, alone": lambda: engine.run(one),
        f"network: a window of {WINDOW} frames again": lambda: engine.run(many),
        "network: per-frame CNN with exponential smoothing": smoothed(
            _cnn(engine, bundle, precision, one, notes)
        ),
    }


def smoothed(network: Callable[[], Any]) -> Callable[[], Any]:
    """``network`` with an exponential moving average of its output."""
    mean: Any = 0.0

    def call() -> Any:
        nonlocal mean
        logits = np.asarray(network())
        mean = 0.9 * mean + 0.1 * np.exp(logits - logits.max())
        return mean

    return call


def _cnn(
    engine: Engine, bundle: Bundle, precision: str, feeds: dict[str, Any], notes: list[str]
) -> Callable[[], Any]:
    """Our network up to where its state enters, or the whole step if it cannot be cut there."""
    states = [tensor.input for tensor in bundle.state]
    if not isinstance(engine, OrtEngine):
        notes.append(f"the per-frame CNN is our whole step: {engine.serves} cannot be cut")
        return lambda: engine.run(feeds)["logits"]
    try:
        network, face = session(before_state(bundle.model(precision), states)), {"face": feeds["face"]}
    except (DependencyError, ValueError) as error:
        notes.append(f"the per-frame CNN is our whole step: {error}")
        return lambda: engine.run(feeds)["logits"]
    notes.append("the per-frame CNN is our network up to where its state enters, without the recurrent part")
    return lambda: network.run(None, face)[0]


def before_state(model: Path, states: Sequence[str]) -> bytes:
    """The part of an ONNX step graph that needs only "face"; ValueError if there is none."""
    onnx = require("onnx", "pip install onnx")
    whole = onnx.shape_inference.infer_shapes(onnx.load(str(model)))
    recurrent = set(states)
    for node in whole.graph.node:  # in topological order
        if recurrent & set(node.input):
            recurrent |= set(node.output)
    available = {name for node in whole.graph.node for name in node.output} - recurrent
    reads = [name for node in whole.graph.node if recurrent & set(node.output) for name in node.input]
    ends = [name for name in dict.fromkeys(reads) if name in available]
    if not ends:
        raise ValueError(f"no part of {model.name} comes before its state")
    return onnx.utils.Extractor(whole).extract_model(["face"], ends).SerializeToString()


def others(bundle: Bundle, notes: list[str]) -> Work:
    """A network of the size of EfficientNet-B0, and our float32 step in OpenCV's DNN module."""
    work: Work = {}
    try:
        large = session(efficientnet.model())
        x = np.zeros((1, 3, efficientnet.SIZE, efficientnet.SIZE), np.float32)
        work["network: EfficientNet-B0's size at 224x224"] = lambda: large.run(None, {"input": x})
        notes.append("EfficientNet-B0's size: random weights, speed only")
    except DependencyError as error:
        notes.append(f"EfficientNet-B0's size is left out: {error}")
    fp32, feeds = OrtEngine(bundle.model("fp32")), step_feeds(bundle, 1)
    work["network: float32 in ONNX Runtime"] = lambda: fp32.run(feeds)
    try:
        work["network: float32 in OpenCV DNN"] = _opencv_dnn(bundle, fp32, feeds)
    except cv2.error as error:
        reason = " ".join(str(error).split())[:150]
        notes.append(f"OpenCV {cv2.__version__} DNN cannot run our step: {reason}")
    return work


def _opencv_dnn(bundle: Bundle, reference: OrtEngine, feeds: dict[str, Any]) -> Callable[[], object]:
    """Our float32 step in OpenCV's DNN module; cv2.error unless it reproduces ONNX Runtime."""
    network = cv2.dnn.readNetFromONNX(str(bundle.model("fp32")))
    outputs = ["logits", *(tensor.output for tensor in bundle.state)]

    def call() -> Any:
        for name, value in feeds.items():
            network.setInput(value, name)
        return network.forward(outputs)

    if not np.allclose(call()[0], reference.run(feeds)["logits"], atol=1e-3):
        raise cv2.error("its logits differ from those of ONNX Runtime")
    return call


def session(model: str | bytes) -> Any:
    """An ONNX Runtime session on one thread, with the options of our own engine."""
    return onnxruntime().InferenceSession(model, session_options(), providers=[PROCESSOR])

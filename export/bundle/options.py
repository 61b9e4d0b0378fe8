"""What no graph says of itself: the options of a bundle, their manifest, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.bundle import StateTensor
from edge.errors import EdgeError
from edge.manifest import BundleFile, CropGeometry, FaceInput, Manifest
from edge.system.steps import Steps
from export.graph.meaning import Answer
from export.graph.phases import RESETS

Float32 = npt.NDArray[np.float32]
FP32 = "model.fp32.onnx"
AS_MADE = ("reset", "time_first", "output", "meaning", "smooth")  # options that make another step of a file


@dataclass(frozen=True)
class Options:
    """What no graph says of itself."""

    labels: Sequence[str]
    normalize: str
    step_hz: float
    name: str = "custom"
    license: str = "not stated"
    window: int | None = None
    reset: str = "never"
    time_first: bool = False
    data: str = "demo"
    align: str = "eyes"
    crop_scale: float = 1.0
    size: int = 48  # of a PyTorch network's faces; an ONNX file says its own
    channels: int = 1
    color: str = ""  # rgb, bgr or gray: what three channels are, by default rgb
    output: str = ""  # of several, by default the first
    keep: Sequence[str] = ()  # further outputs that stay in the step
    meaning: str = ""  # softmax, sigmoid or values; by default as the output looks
    smooth: int = 0  # answers of single frames that are averaged; 0: the network has a memory of its own


def manifest_of(
    options: Options, size: int, channels: int, steps: int, state: tuple[StateTensor, ...]
) -> Manifest:
    if options.reset not in RESETS:
        raise EdgeError(f"unknown --reset {options.reset!r}; choose one of {', '.join(RESETS)}")
    color = options.color or ("rgb" if channels == 3 else "gray")
    if color != "gray" and channels != 3:
        raise EdgeError(f"--color {color} needs 3 channels, but the network takes {channels}; leave it out")
    if options.normalize == "imagenet" and channels != 3:
        raise EdgeError(
            f"--normalize imagenet needs 3 channels, but the network takes {channels}; choose what was done "
            "to its pixels"
        )
    geometry = CropGeometry(options.crop_scale, options.align)
    return Manifest(
        name=options.name,
        version="1",
        license=options.license,
        labels=tuple(options.labels),
        input=FaceInput(size, channels, options.normalize, geometry, color),
        state=state,
        step_hz=options.step_hz,
        trained_window=steps,
        warm_steps=min(5, steps),
        reset_after_s=1.0,
        files={"fp32": BundleFile(FP32)},
    )


def say_color(manifest: Manifest, options: Options, steps: Steps) -> None:
    """Say what three channels are fed with, which no graph tells."""
    face = manifest.input
    if face.channels == 3:
        what = f"faces in color ({face.color.upper()}), or gray where a source has no color"
        told = what if face.in_color else "gray faces, the same in each of its three channels"
        advice = "" if options.color else "; pass --color bgr or gray if it was trained on that"
        steps.say(f"the network gets {told}{advice}")


def tell_meaning(answer: Answer, steps: Steps) -> None:
    """Say what the output is taken for, unless it is one of the labels."""
    if answer.kind != "softmax":
        what = "independent labels" if answer.kind == "sigmoid" else "values"
        steps.say(
            f"the output is taken as {what} ({answer.kind}); --meaning softmax if it gives logits of one of "
            "the labels"
        )


def meant(manifest: Manifest, kind: str, rolled: Float32) -> Manifest:
    """The manifest with what the output means; ``rolled`` has values that it takes."""
    if kind != "values":
        return replace(manifest, output=kind)
    low, high = min(float(np.floor(rolled.min())), 0.0), max(float(np.ceil(rolled.max())), 1.0)
    return replace(manifest, output=kind, value_range=(-1.0, 1.0) if low >= -1 and high <= 1 else (low, high))


def frames_shape(options: Options) -> tuple[int, ...]:
    """Two windows as a PyTorch network takes them, (2,T,C,S,S), or (T,2,C,S,S) with time first."""
    rows, length = 2, options.window or (max(options.smooth, 2) if options.smooth else 32)
    first = (length, rows) if options.time_first else (rows, length)
    return (*first, options.channels, options.size, options.size)


def check_labels(labels: Sequence[str], classes: int, outputs: int) -> None:
    """EdgeError unless there is one label for each class; one output of two classes says yes or no."""
    if len(labels) == classes:
        return
    given = f"{len(labels)} label{'s' * (len(labels) != 1)} ({', '.join(labels)})"
    if outputs < classes:
        raise EdgeError(
            f"{given} for one output that says yes or no; give two, that of no first, or one and "
            "--meaning sigmoid or values"
        )
    raise EdgeError(f"{given} for {classes} outputs; give one per output")

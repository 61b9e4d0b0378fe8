"""``emotion-export bundle``: export.toml first, then the command line."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from edge import answers
from edge.bundle import load, manifest_schema
from edge.config_file import read_toml
from edge.errors import ConfigError, EdgeError
from edge.manifest import label_contradictions
from edge.system.json_schema import problems
from edge.system.steps import Steps

HELP = "make a streaming bundle of a trained CNN-GRU or CNN-LSTM"
NORMALIZATIONS = ("none", "unit", "signed", "imagenet", "standardize")
_KEYS = {
    "labels": list, "normalize": str, "step_hz": float, "name": str, "license": str, "window": int,
    "reset": str, "time_first": bool, "data": str, "align": str, "crop_scale": float, "size": int,
    "channels": int, "color": str, "parts": dict, "output": str, "keep": list, "meaning": str,
    "smooth": int,
}  # fmt: skip
_NEEDED = {
    "labels": "the names of the outputs in their order",
    "normalize": "what was done to the pixels in training",
    "step_hz": "frames per second of the training windows",
}
# Where the manifest keeps an option, whose rule is applied before any work.
_PLACES = {
    "labels": "labels", "name": "name", "license": "license", "step_hz": "step_hz",
    "window": "trained_window", "smooth": "trained_window", "size": "input.size",
    "channels": "input.channels", "color": "input.color", "crop_scale": "input.crop.scale",
    "align": "input.crop.align",
}  # fmt: skip
_MEND = {
    "labels": "give each output a printable name of its own",
    "name": "use lower case letters, digits, points and dashes",
}
# Old name -> new name: both work until version 0.3.
_RENAMED = {"--normalise": "--normalize", "normalise": "normalize", "standardise": "standardize"}


def add_options(parser: argparse.ArgumentParser) -> None:
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument(
        "--onnx",
        type=Path,
        metavar="FILE",
        help="ONNX file of a network over windows of frames, with GRU or LSTM nodes",
    )
    origin.add_argument(
        "--model",
        metavar="PKG.MOD:FUNCTION",
        help="Python function that builds a PyTorch network; or a TorchScript or .pt2 file",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights of --model: .safetensors or a checkpoint"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="write the bundle to this folder"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="export.toml",
        help="file with the options below as keys, and a table [parts]",
    )
    parser.add_argument(
        "--labels",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="a,b,c",
        help="names of the outputs, in their order",
    )
    normalize: dict[str, Any] = {"choices": NORMALIZATIONS, "dest": "normalize"}
    parser.add_argument(
        "--normalize", type=_today, help="what was done to the pixels in training", **normalize
    )
    parser.add_argument(
        "--normalise", type=lambda v: _today("--normalise") and _today(v), help=argparse.SUPPRESS, **normalize
    )
    parser.add_argument(
        "--step-hz", type=float, metavar="HZ", help="frames per second of the training windows"
    )
    parser.add_argument(
        "--data", metavar="SET", help="faces to compare on: .npz with crops, a video, a folder or demo"
    )
    parser.add_argument(
        "--color",
        choices=("rgb", "bgr", "gray"),
        help="what the three channels of a network are; gray: the same in each (default: rgb)",
    )
    parser.add_argument(
        "--align", choices=("eyes", "none"), help="whether a face is turned until its eyes are level"
    )
    parser.add_argument(
        "--crop-scale",
        type=float,
        metavar="X",
        help="side of the crop divided by the side of the face square",
    )
    parser.add_argument(
        "--keep",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="NAME,...",
        help="further outputs that stay in the step as they are, for programs that read them",
    )
    parser.add_argument("--name", help="name of the bundle, in lower case")
    parser.add_argument("--license", help="what the weights may be used for, in one sentence")
    add_network_options(parser)


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """What tells how a network is read, and which of its answers counts."""
    parser.add_argument(
        "--weights-key", metavar="KEY", help="where in the checkpoint the weights lie, if there are several"
    )
    parser.add_argument(
        "--trust-file",
        action="store_true",
        help="read a --model file, which can run any code when it is read",
    )
    parser.add_argument(
        "--window", type=int, metavar="T", help="number of frames in a window, if the network leaves it free"
    )
    parser.add_argument(
        "--reset",
        choices=("never", "every-T", "two-phase"),
        help="when the memory of a face is cleared in a stream",
    )
    parser.add_argument(
        "--time-first",
        action="store_const",
        const=True,
        help="the input is (time, batch, ...), not (batch, time, ...)",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side of the faces that a PyTorch network takes (default: 48)",
    )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="channels of the faces that a PyTorch network takes (default: 1)",
    )
    parser.add_argument(
        "--output",
        metavar="NAME",
        help="the output to take, where the network has several (default: the first)",
    )
    parser.add_argument(
        "--meaning",
        choices=("softmax", "sigmoid", "values"),
        help="what the output is: one of K classes, K independent labels, or K values such as valence and "
        "arousal (default: as it looks)",
    )
    parser.add_argument(
        "--smooth",
        type=int,
        metavar="N",
        help="for a network over single frames: the answer is the mean of its last N (1: each by itself)",
    )


def check(args: argparse.Namespace) -> None:
    """Refuse, before PyTorch is loaded, what can be refused without it."""
    from export.bundle.write import check_target

    settings, parts = read(args)
    _check_values(settings)
    if "keep" in settings and ("smooth" in settings or parts):
        raise ConfigError("--keep is for whole windows, not for single frames or [parts]; leave it out")
    inputs = {"--onnx": args.onnx, "--weights": args.weights}
    if settings.get("data", "").endswith(".npz"):
        inputs["--data"] = Path(settings["data"])
    for option, path in inputs.items():
        if path is not None and not path.is_file():
            raise EdgeError(f"no {option[2:]} at {path}; pass {option} a file that exists")
    if args.model and not args.weights and ":" in args.model:
        raise EdgeError("--model needs --weights: a .safetensors file or a saved state dict")
    check_target(args.out)


def run(args: argparse.Namespace) -> None:
    """Export the network and write its bundle."""
    from export import pytorch
    from export.bundle import make
    from export.bundle.options import Options

    settings, parts = read(args)
    with Steps("emotion-export") as steps:
        if args.onnx:
            make.bundle_onnx(args.onnx, args.out, Options(**settings), steps)
        else:
            given = pytorch.Given(args.model, args.weights, args.weights_key, args.trust_file, parts)
            network = pytorch.read(given, settings, steps)
            if network.step is not None:
                make.bundle_step(network.step, network.whole, args.out, network.options, steps)
            else:
                with network.window(steps) as path:
                    make.bundle_onnx(path, args.out, network.options, steps, network.whole)
    page, command = args.out / "proof.html", f"emotion-edge run SOURCE --bundle {args.out} --jsonl -"
    if answers.of(load(args.out).manifest).chooses:
        print(
            "temperature 1 and threshold 0 are not fitted, so how sure it says it is was not checked; "
            f"emotion-export fit {args.out} --data faces.npz"
        )
    print(f"wrote {args.out}; see {page}; run it: {command}")


def read(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Fields of Options, and [parts] (None where there are none); ConfigError names the key and the fix."""
    settings = _toml(args.config) if args.config else {}
    for key in _KEYS:
        value = getattr(args, key, None)
        if value is not None:
            settings[key] = value
    for key, meaning in _NEEDED.items():
        if key not in settings:
            option = "--" + key.replace("_", "-")
            raise ConfigError(f"{key} is missing: no network says {meaning}; pass {option}")
    if settings["normalize"] not in NORMALIZATIONS:
        choices = ", ".join(NORMALIZATIONS)
        raise ConfigError(f"normalize is {settings['normalize']!r}, expected one of {choices}")
    if not settings["step_hz"] > 0:
        raise ConfigError(f"step_hz is {settings['step_hz']}, expected more than 0")
    if "name" not in settings:
        name = re.sub(r"[^a-z0-9._-]+", "-", args.out.resolve().name.lower()).strip("._-")
        settings["name"] = name or "custom"
    parts = settings.pop("parts", None)
    return settings, parts


def _check_values(settings: dict[str, Any]) -> None:
    """ConfigError where the manifest would not hold one of the options, by its own rules."""
    schema = manifest_schema()
    for key, place in _PLACES.items():
        rule = schema
        for part in place.split("."):
            rule = rule["properties"][part]
        if key in settings:
            for problem in problems(settings[key], rule, schema, key):
                raise ConfigError(f"{problem}; {_MEND.get(key, 'pass another value')}")
    for key in ("window", "reset", "time_first") if "smooth" in settings else ():
        if key in settings:
            option = "--" + key.replace("_", "-")
            raise ConfigError(f"{option} is for windows, --smooth for single frames; leave one of them out")
    for problem in label_contradictions(settings["labels"]):
        raise ConfigError(f"{problem}; {_MEND['labels']}")


def _toml(path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {_today(key): value for key, value in read_toml(path).items()}
    for key, value in settings.items():
        if key not in _KEYS:
            raise ConfigError(f"{path}: unknown key {key!r}; there are {', '.join(_KEYS)}")
        kind = _KEYS[key]
        if kind is float and type(value) is int:
            settings[key] = float(value)
        elif type(value) is not kind:
            raise ConfigError(f"{path}: {key} is {value!r}, expected {kind.__name__}")
    if "normalize" in settings:
        settings["normalize"] = _today(settings["normalize"])
    return settings


def _today(name: str) -> str:
    """Today's spelling of a name; the old one is accepted with a warning on stderr."""
    if name not in _RENAMED:
        return name
    warning = f"{name} is now called {_RENAMED[name]}; the old name works until version 0.3"
    print(f"emotion-export: warning: {warning}", file=sys.stderr)
    return _RENAMED[name]

"""``emotion-export bundle``: export.toml first, then the command line."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from edge.config_file import read_toml
from edge.errors import ConfigError, EdgeError

HELP = "make a streaming bundle of a trained CNN-GRU or CNN-LSTM"
NORMALIZATIONS = ("none", "unit", "signed", "imagenet", "standardize")
_KEYS = {
    "labels": list, "normalize": str, "step_hz": float, "name": str, "license": str, "window": int,
    "reset": str, "time_first": bool, "data": str, "align": str, "crop_scale": float, "size": int,
    "channels": int, "parts": dict,
}  # fmt: skip
_NEEDED = {
    "labels": "the names of the outputs in their order",
    "normalize": "what was done to the pixels in training",
    "step_hz": "frames per second of the training windows",
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
        "--model", metavar="PKG.MOD:FUNCTION", help="Python function that builds a PyTorch network"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights of --model: .safetensors or a saved state dict"
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
        "--data", metavar="SET", help="faces to compare on: .npz with crops, a video, a folder or demo"
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
        "--align", choices=("eyes", "none"), help="whether a face is turned until its eyes are level"
    )
    parser.add_argument(
        "--crop-scale",
        type=float,
        metavar="X",
        help="side of the crop divided by the side of the face square",
    )
    parser.add_argument("--name", help="name of the bundle, in lower case")
    parser.add_argument("--license", help="what the weights may be used for, in one sentence")


def run(args: argparse.Namespace) -> None:
    """Export the network and write its bundle."""
    from export.bundle import make
    from export.load import build_model, step_module

    settings, parts = read(args)
    options = make.Options(**settings)
    if args.onnx:
        make.bundle_onnx(args.onnx, args.out, options)
    else:
        if args.weights is None:
            raise EdgeError("--model needs --weights: a .safetensors file or a saved state dict")
        model = build_model(args.model, args.weights)
        step = step_module(model, parts)
        if step is None:
            make.bundle_window_module(model, args.out, options)
        else:
            make.bundle_step(step, model, args.out, options)
    page, command = args.out / "proof.html", f"emotion-edge run SOURCE --bundle {args.out} --jsonl -"
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

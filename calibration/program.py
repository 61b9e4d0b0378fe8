"""The command line of the calibration stage. A fault is one line and exit code 2."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edge.errors import EdgeError, require
from edge.system.command import finish

log = logging.getLogger("calibration")
MAX_LENGTH = 96  # steps; a longer track is cut, so that one face does not fill the set


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 a fault the user can mend, 130 interrupted."""
    logging.basicConfig(format="emotion-calibrate: %(levelname)s: %(message)s", level=logging.INFO)
    args = _parser().parse_args(argv)

    def work() -> None:
        require("cv2", "pip install 'emotion-edge[cpu]'")
        args.command(args)

    return finish("emotion-calibrate", work, "nothing was written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotion-calibrate",
        description="Collect sequences of faces, and measure the value ranges of a network for INT8.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    collect = commands.add_parser(
        "collect", help="collect face sequences from videos, folders, archives or a camera"
    )
    collect.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="whatever emotion-edge run takes, or an .npz of faces"
    )
    collect.add_argument(
        "-o", "--out", type=Path, required=True, metavar="SET", help="write the set to this folder"
    )
    collect.add_argument(
        "--consent", required=True, metavar="TEXT", help="who agreed to what, or the license of the source"
    )
    collect.add_argument("--bundle", type=Path, metavar="DIR", help="bundle that sorts the faces by label")
    collect.add_argument("--detector", default="", metavar="FILE", help="YuNet file that finds the faces")
    collect.add_argument(
        "--max-frames", type=int, metavar="N", help="stop after N frames of each source; needed for a camera"
    )
    collect.add_argument(
        "--per-cell",
        type=int,
        default=12,
        metavar="N",
        help="most sequences of each label and brightness (default: 12)",
    )
    collect.set_defaults(command=_collect)

    ranges = commands.add_parser("ranges", help="measure the value ranges of a network over a set")
    ranges.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    ranges.add_argument("set", type=Path, metavar="SET", help="folder that emotion-calibrate collect wrote")
    ranges.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("ranges.json"),
        metavar="FILE",
        help="write to this file (default: %(default)s)",
    )
    ranges.add_argument(
        "--method",
        default="minmax",
        help="how a range is chosen: minmax, or percentile-99.99 (default: %(default)s)",
    )
    ranges.add_argument("--force", action="store_true", help="replace a file that emotion-edge did not write")
    ranges.set_defaults(command=_ranges)
    return parser


def _collect(args: argparse.Namespace) -> None:
    from calibration import calibration_set
    from calibration.collect import load_sequences_of
    from edge import answers, bundle
    from edge.engines.golden import roll
    from edge.engines.ort import OrtEngine
    from edge.recognition.gray_source import has_color

    calibration_set.check_target(args.out, [Path(source) for source in args.sources])
    if not args.consent.strip():
        raise EdgeError("--consent is empty; write who agreed to what, or the license of the source")
    loaded = bundle.load(args.bundle)
    candidates = []
    with OrtEngine(loaded.model("fp32")) as engine:
        for source in args.sources:
            for crops in load_sequences_of(source, loaded.manifest, args.detector, args.max_frames):
                for start in range(0, len(crops) - calibration_set.MIN_LENGTH + 1, MAX_LENGTH):
                    part = crops[start : start + MAX_LENGTH]
                    classes = roll(engine, loaded, part[None])[0].argmax(-1)
                    label = loaded.labels[Counter(classes.tolist()).most_common(1)[0][0]]
                    candidates.append(calibration_set.Sequence(part, label, _name(source)))
    chosen = calibration_set.choose(candidates, args.per_cell, answers.of(loaded.manifest).chooses)
    if loaded.manifest.input.in_color and not all(has_color(sequence.crops) for sequence in chosen):
        log.warning("some sequences are gray, but the network takes color; add sources in color")
    calibration_set.write(args.out, chosen, args.consent)
    steps = sum(len(sequence.crops) for sequence in chosen)
    print(f"wrote {args.out}: {len(chosen)} of {len(candidates)} sequences, {steps} steps; see preview.png")


def _name(source: str) -> str:
    """What the set says of where a sequence comes from."""
    from edge.capture.addresses import without_password

    return without_password(source) if "://" in source else Path(source).name


def _ranges(args: argparse.Namespace) -> None:
    from calibration import calibration_set, ranges
    from edge import bundle
    from edge.preprocess import normalize_crops
    from edge.system.hashing import sha256
    from edge.system.output_file import check_writable, refuse_inputs

    onnx = require("onnx", "pip install 'emotion-edge[export]'")
    read = [("a file of the bundle", args.bundle), ("a file of the set", args.set)]
    refuse_inputs({"--out": args.out}, read)
    check_writable(args.out, (), args.force)
    loaded = bundle.load(args.bundle)
    sequences, about = calibration_set.read(args.set)
    if loaded.manifest.input.in_color and sequences[0].ndim == 3:
        raise EdgeError(
            f"{args.set} holds gray faces, but the network takes color; collect them with "
            f"--bundle {args.bundle}"
        )
    model = loaded.model("fp32")
    faces = (normalize_crops(crops, loaded.manifest) for crops in sequences)
    histograms = ranges.observe(onnx.load(str(model)), loaded.state, faces)
    facts = {
        "method": args.method,
        "data_sha256": about["sha256"],
        "model_sha256": sha256(model),
        "steps": sum(map(len, sequences)),
    }
    ranges.write(args.out, ranges.summarize(histograms, args.method), facts, args.force)
    print(f"wrote {args.out}: {len(histograms)} tensors over {facts['steps']} steps")

"""The command line: parse, load the configuration, build, run. A fault is one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from edge import __version__, config
from edge.cli.service import add_service_options, run_service
from edge.config import Config
from edge.errors import EdgeError, require
from edge.system import journal
from edge.system.command import finish
from edge.system.process import stay_in_memory


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 a fault the user can mend, 130 interrupted."""
    journal.configure()
    args = _parser().parse_args(argv)

    def work() -> None:
        stay_in_memory()  # before the large libraries come
        # The one library that every room imports at its top: ask for it before they do.
        require("cv2", "pip install 'emotion-edge[cpu]', or on a board: sudo apt install python3-opencv")
        args.command(args)

    return finish("emotion-edge", work, "everything up to here is written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotion-edge", description="Apparent facial expression from video, on small machines."
    )
    parser.add_argument("--version", action="version", version=f"emotion-edge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="read a camera or file and write estimates")
    run.add_argument("source", nargs="?", metavar="SOURCE", help=config.SOURCE_HELP)
    add_settings(run)
    run.add_argument("--jsonl", metavar="PATH", help="JSON lines to a file, - for standard output")
    run.add_argument("--annotate", metavar="OUT.mp4", help="write the video with boxes and labels")
    run.add_argument("--trajectory", metavar="OUT.png", help="draw each face's probabilities over time")
    run.add_argument("--max-frames", type=int, metavar="N", help="stop after N frames")
    run.add_argument("--every-frame", action="store_true", help="a JSON line for frames between steps, too")
    run.add_argument("--health", metavar="PATH|PORT", help="figures as JSON: a file, or a port on 127.0.0.1")
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="build and warm up everything, then stop")
    check.add_argument("source", nargs="?", metavar="SOURCE", help=config.SOURCE_HELP)
    add_settings(check)
    check.set_defaults(command=_check)

    demo = commands.add_parser("demo", help="run on a virtual camera over two photographs")
    add_settings(demo)
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder (default: %(default)s)")
    demo.set_defaults(command=_demo)

    engine = commands.add_parser("engine", help="build the TensorRT engine of a bundle on this machine")
    add_engine_options(engine)
    engine.set_defaults(command=run_engine)

    service = commands.add_parser("service", help="start at boot and stay up, with systemd")
    add_service_options(service)
    service.set_defaults(command=run_service)

    fetch = commands.add_parser(
        "fetch", help="download the YuNet face detector (233 kB) into the user's cache"
    )
    fetch.add_argument("--from", dest="origin", metavar="FILE", help="take this file instead of downloading")
    fetch.set_defaults(command=_fetch)
    return parser


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``engine``, which ``emotion-export`` has, too."""
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="default: the one that ships")
    parser.add_argument(
        "--precision", default="auto", help="int8, fp16, fp32 (default: auto, first to build)"
    )
    parser.add_argument("--faces", type=int, default=8, help="most faces in one step (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: engines in the user's cache")
    parser.add_argument("--workspace-mb", type=int, default=256, help="memory of the builder's trials")
    parser.add_argument("--capability", default="", metavar="8.6", help="of another GPU (TensorRT-RTX only)")


def run_engine(args: argparse.Namespace) -> None:
    """``engine`` of both command lines."""
    from edge.engines.tensorrt.command import engine
    from edge.engines.tensorrt.plans import Refused

    try:
        engine(args)
    except Refused as error:  # its exit code is for the run that builds beside itself
        raise EdgeError(str(error)) from error


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options that say what to run, which ``emotion-bench`` has, too."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE.toml")
    parser.add_argument("--bundle", metavar="DIR", help="bundle to run (default: the one that ships)")
    parser.add_argument("--precision", help="fp32, int8-cpu, ... (default: auto, what `check` found fastest)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="override one setting"
    )


def _load(args: argparse.Namespace) -> Config:
    """The configuration file, then --set, then the options that have a name of their own."""
    settings = config.load(args.config, args.set)
    given = vars(args)
    outputs = ("jsonl", "annotate", "trajectory", "max_frames", "every_frame", "health")
    named = {
        "source": {"address": given.get("source")},
        "bundle": {"path": given.get("bundle"), "precision": given.get("precision")},
        "output": {key: given.get(key) for key in outputs},
    }
    return config.merge(settings, named)


def _run(args: argparse.Namespace) -> None:
    from edge.service import run

    run(_load(args), lambda: _load(args))


def _check(args: argparse.Namespace) -> None:
    from edge.cli.check import check

    check(_load(args))


def _demo(args: argparse.Namespace) -> None:
    from edge.service import demo

    demo(_load(args), args.out)


def _fetch(args: argparse.Namespace) -> None:
    from edge.faces.fetch import YUNET_URL, fetch_detector

    print(fetch_detector(url=args.origin or YUNET_URL))


if __name__ == "__main__":
    sys.exit(main())

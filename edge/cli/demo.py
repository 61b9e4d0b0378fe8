"""``emotion-edge demo``: run on a virtual camera over two photographs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from edge.cli import options
from edge.config import Config
from edge.errors import ConfigError

HELP = "run on a virtual camera over two photographs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the settings and the output folder."""
    options.add_settings(parser)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder (default: %(default)s)")
    options.add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Run the demo."""
    demo(options.read(args).config, args.out)


def demo(config: Config, folder: Path) -> None:
    """Run on the virtual camera, write a clip, a picture and JSON lines, and print a table."""
    from edge import service

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create folder {folder} ({error.strerror}); pass --out DIR") from error
    names = {"annotate": "annotated.mp4", "trajectory": "trajectory.png", "jsonl": "estimates.jsonl"}
    sinks = {name: {"path": str(folder / file)} for name, file in names.items()}
    output = replace(config.output, sinks=sinks)
    rows = service.run(replace(config, source=replace(config.source, address="demo"), output=output))
    print(
        f"{'face':>4}  {'from s':>6}  {'to s':>6}  {'estimates':>9}  apparent expression (mean probability)"
    )
    for row in rows:
        print(f"{row.track_id:>4}  {row.first_s:>6.1f}  {row.last_s:>6.1f}  {row.estimates:>9}  {row.text()}")
    for file in names.values():
        print(f"wrote {folder / file}")

"""``emotion-edge engine``: build the TensorRT engine of a bundle on this machine."""

from __future__ import annotations

import argparse

from edge.engines.tensorrt.options import add_engine_options

HELP = "build the TensorRT engine of a bundle on this machine"
add_options = add_engine_options


def run(args: argparse.Namespace) -> None:
    """Build the engine unless it exists."""
    from edge.engines.tensorrt.command import run_engine

    run_engine(args)

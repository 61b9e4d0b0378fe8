"""Fuzzes one target in this process with atheris (libFuzzer): coverage of Python decides what is kept.

    python tests/fuzz/one.py NAME [libFuzzer's options] [folders of inputs, or one input to repeat]

Where atheris cannot be installed, changes are drawn without coverage, with the same options.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "helpers"))

import cv2  # noqa: F401  before the rest: what is large is not instrumented

try:
    import atheris
except ImportError:
    from fuzz.targets.table import TARGETS
else:
    with atheris.instrument_imports(include=["edge", "tomllib", "zipfile", "http.server"]):
        from fuzz.targets.table import TARGETS

if TYPE_CHECKING:
    from fuzz.targets.base import Target

STRUCTURED = 0.6  # share of the changes that know the format


def main(argv: list[str]) -> None:
    """Run until libFuzzer ends."""
    target = TARGETS[argv[1]]
    logging.disable()
    warnings.simplefilter("ignore")
    os.environ.pop("STATE_DIRECTORY", None)
    if "atheris" in sys.modules:
        _guided(target, argv)
    else:
        from fuzz.plain import fuzz

        fuzz(target, argv[2:])


def _guided(target: Target, argv: list[str]) -> None:
    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < STRUCTURED:
            try:
                changed = target.mutate(data, rng)
                if len(changed) <= most:
                    return changed
            except (ValueError, RecursionError):
                pass
        return atheris.Mutate(data, most)

    def one_input(data: bytes) -> None:
        target.run(data)

    # What a merge runs, through the shell.
    again = f"{sys.executable} {Path(__file__).resolve()} {target.name}"
    atheris.Setup([again, *argv[2:]], one_input, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)

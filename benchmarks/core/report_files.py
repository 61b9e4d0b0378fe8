"""The files that a benchmark's options name: checked and locked before a run that may take hours."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edge.bundle import REFERENCE
from edge.errors import ConfigError
from edge.system.output_file import OutputFile, refuse_inputs

_READ = ("source", "bundle", "config", "video", "peer", "detector", "before", "after")  # options with a path


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add --force."""
    parser.add_argument("--force", action="store_true", help="replace files that emotion-edge did not write")


@contextmanager
def report_files(args: argparse.Namespace) -> Iterator[Mapping[str, OutputFile]]:
    """``json`` and ``html``, where they are given. Raises ConfigError for a path that may not be written."""
    given = vars(args)
    paths = {name: given[name] for name in ("json", "html") if given.get(name)}
    if len({os.path.realpath(path) for path in paths.values()}) < len(paths):
        raise ConfigError(f"--json and --html are both {paths['json']}; give two files")
    read = [(f"the {name} that is read", path) for name in _READ for path in _paths(given.get(name))]
    read.append(("a file of the bundle", REFERENCE))
    refuse_inputs({f"--{name}": path for name, path in paths.items()}, read)
    force = given.get("force", False)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(OutputFile(path, force=force, small=True))
            for name, path in paths.items()
        }


def _paths(given: Any) -> list[Path]:
    """An option takes one path, or several."""
    return [Path(path) for path in (given if isinstance(given, list) else [given]) if path]

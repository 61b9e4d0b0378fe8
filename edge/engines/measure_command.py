"""The child process that measures during a run: ``measure_command BUNDLE ENGINE_KIND``.

It stores the choice for the next start and prints it as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from edge import bundle as bundles
from edge.config import BundleConfig, Config, EngineConfig
from edge.engines import machine_cache, measure, selection
from edge.system.command import finish
from edge.system.process import die_with_parent, run_when_idle

BUDGET_S = 2.0  # less than for `check`, since a run goes on meanwhile


def _measure(folder: str, kind: str) -> None:
    config = Config(bundle=BundleConfig(path=folder), engine=EngineConfig(kind=kind))
    bundle, backends = bundles.load(Path(folder)), selection.backends_here(config)
    choice = measure.measure(bundle, config.engine, backends, BUDGET_S).choice
    with selection.load(config, bundle, choice):  # stores that it reproduces golden.npz, which costs seconds
        machine_cache.remember(bundle, choice, selection.traits(backends))
    print(json.dumps(asdict(choice)))


def main(folder: str, kind: str) -> int:
    """Measure; the exit code is 0, or 2 with one line on standard error."""
    die_with_parent()
    run_when_idle()
    return finish("emotion-edge", lambda: _measure(folder, kind), "nothing was measured")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

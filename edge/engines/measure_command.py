"""The child process that measures during a run: ``measure_command BUNDLE ENGINE_KIND``.

It stores the choice for the next start and prints it as JSON. It rests after each step, so that it takes less
than one core: a service has a limit on its processor time (CPUQuota=), which run and child share, whatever
their priorities are.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.config import BundleConfig, Config, EngineConfig
from edge.engines import machine_cache, measure, selection
from edge.engines.backends import BackendPart
from edge.engines.golden import Verdict, reproduces
from edge.engines.records import choice_fields
from edge.engines.switching import Switching
from edge.protocols import Engine
from edge.system.command import finish
from edge.system.process import die_with_parent, run_when_idle

BUDGET_S = 2.0  # less than for `check`, since a run goes on meanwhile


class Rests:
    """Engines that rest for the processor time of each step, and the clock that stands still meanwhile."""

    def __init__(self) -> None:
        self.rested_s = 0.0

    def clock(self) -> float:
        """Seconds without the rests."""
        return time.perf_counter() - self.rested_s

    def of(self, part: BackendPart) -> BackendPart:
        """``part`` with engines that rest."""
        rests = self

        class Resting(Switching):
            def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
                used = time.process_time()
                out = super().run(feeds)
                resting = time.perf_counter()
                time.sleep(time.process_time() - used)
                rests.rested_s += time.perf_counter() - resting
                return out

        return replace(part, load=lambda *about: Resting(part.load(*about)))


def _measure(folder: str, kind: str) -> None:
    config = Config(bundle=BundleConfig(path=folder), engine=EngineConfig(kind=kind))
    bundle, backends = bundles.load(Path(folder)), selection.backends_here(config)
    rests = Rests()
    resting = [rests.of(part) for part in backends]
    verdicts: dict[str, Verdict] = {}  # by engine, since each costs seconds

    def prove(engine: Engine, bundle: Bundle) -> Verdict:
        if engine.serves not in verdicts:
            verdicts[engine.serves] = reproduces(engine, bundle)
        return verdicts[engine.serves]

    choice = measure.measure(bundle, config.engine, resting, BUDGET_S, rests.clock, prove).choice
    with selection.load(config, bundle, choice, prove):  # stores its verdict, so that no start needs it again
        machine_cache.remember(bundle, choice, selection.traits(backends))
    print(json.dumps(choice_fields(choice)))


def main(folder: str, kind: str) -> int:
    """Measure; the exit code is 0, or 2 with one line on standard error."""
    die_with_parent()
    run_when_idle()
    return finish("emotion-edge", lambda: _measure(folder, kind), "nothing was measured")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

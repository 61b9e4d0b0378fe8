"""The child process that measures during a run: ``measure_command BUNDLE ENGINE_KIND LIMITS``.

It stores the choice for the next start and prints it as JSON. It rests after each step, so that it takes less
than one core: a service has a limit on its processor time (CPUQuota=), which run and child share, whatever
their priorities are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.config import BundleConfig, Config, EngineConfig, LimitsConfig
from edge.engines import machine_cache, measure, selection
from edge.engines.admission import admit
from edge.engines.backends import BackendPart
from edge.engines.golden import Verdict
from edge.engines.records import choice_fields
from edge.engines.resting import Rests
from edge.system.command import finish
from edge.system.process import die_with_parent, run_when_idle

BUDGET_S = 2.0  # less than for `check`, since a run goes on meanwhile


def _measure(folder: str, kind: str, limits: LimitsConfig) -> None:
    config = Config(bundle=BundleConfig(path=folder), engine=EngineConfig(kind=kind))
    bundle, backends = bundles.load(Path(folder), limits=limits), selection.backends_here(config)
    rests = Rests()
    resting = [rests.of(part) for part in backends]
    choice = measure.measure(bundle, config.engine, resting, _prove, BUDGET_S, rests.clock).choice
    machine_cache.remember(bundle, choice, selection.traits(backends))
    print(json.dumps(choice_fields(choice)))


def _admit(bundle: Bundle, precision: str, brief: bool) -> Verdict:
    return admit(bundle, precision, brief, resting=True)


def _prove(part: BackendPart, settings: EngineConfig, bundle: Bundle, precision: str) -> Verdict:
    return selection.prove(part, settings, bundle, precision, _admit)


def main(folder: str, kind: str, limits: str = "{}") -> int:
    """Measure the bundle in ``folder``, read within ``limits``, the fields of LimitsConfig as JSON.

    The exit code is 0, or 2 with one line on standard error.
    """
    die_with_parent()
    run_when_idle()
    bounds = LimitsConfig(**json.loads(limits))
    return finish("emotion-edge", lambda: _measure(folder, kind, bounds), "nothing was measured")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""``emotion-edge check``: open every part, measure which precision is fastest, and report."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from edge.bundle import Bundle
from edge.capture.addresses import without_password
from edge.capture.regular_file import shown
from edge.capture.sources import help_text
from edge.cli import options
from edge.cli.color_cost import cost_of_color
from edge.config import Config, EngineConfig
from edge.data import Frame
from edge.errors import EdgeError, SourceError

if TYPE_CHECKING:  # other commands need none of it
    from edge.engines.backends import BackendPart
    from edge.engines.golden import Verdict

HELP = "open and test every part, then stop"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the source and the settings."""
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=help_text())
    options.add_settings(parser)


def run(args: argparse.Namespace) -> None:
    """Check the effective configuration."""
    check(options.read(args).config)


def check(config: Config) -> None:
    """Open every part, try every precision, process one frame, and print a report."""
    from edge import session
    from edge.engines import selection
    from edge.sinks import outputs

    with session.parts(config) as parts:
        bundle = parts.bundle
        print(f"bundle    {bundle.manifest.name} {bundle.manifest.version}, all hashes match")
        if config.bundle.precision != "auto":
            selection.wanted(config, bundle)  # raises what `run` would raise
        # The source comes before all that takes seconds: whoever gave a wrong address is told at once.
        frame = _first_frame(config)
        if parts.live and bundle.manifest.input.in_color and frame.image.ndim == 3:
            print(f"color     {cost_of_color(config)}", flush=True)
        tried: dict[str, Verdict | EdgeError] = {}
        for precision in bundle.precisions:
            print(f"network   {precision}: {_try_precision(bundle, precision, tried)}")
        if config.bundle.precision == "auto":
            _measure(config, bundle, tried)
        outputs.open_sinks(config.output, parts.live)  # each checks its path; no file is created
        parts.new_pipeline().step(frame)
        faces = len(parts.detector.detect(frame))
        print(f"detector  {type(parts.detector).__name__}: {faces} faces in the first frame")
        for line in _doctor(config):
            print(f"doctor    {line}")
        print(f"outputs   {', '.join(part.name for part in outputs.wanted(config.output)) or 'none'}")


def _doctor(config: Config) -> Iterator[str]:
    """What the doctor finds wrong with this board; the parts of a run were opened here."""
    from edge.doctor import examine, telling
    from edge.doctor.checks import CHECKS

    own = ("settings", "parts", "bundle", "detector", "camera", "service", "health")
    for finding in examine(config=config, names=[check.name for check in CHECKS if check.name not in own]):
        if finding.level in ("warning", "fault"):
            yield telling.worst_line([finding])


def _first_frame(config: Config) -> Frame:
    """The first frame of the source, which is closed again: its threads would disturb the measurement."""
    from edge import session

    address = shown(without_password(config.source.address))
    with session.parts(config) as parts:
        frame = next(iter(parts.frames), None)
    if frame is None:
        raise SourceError(f"source {address} opened but gave no frame; try it in a player")
    height, width = frame.image.shape[:2]
    print(f"source    {address}: {width}x{height} pixels", flush=True)
    return frame


def _measure(config: Config, bundle: Bundle, tried: Mapping[str, Verdict | EdgeError]) -> None:
    """Measure what is fastest, print it as a table, and store the choice for every later run."""
    from edge.engines import machine_cache, measure, selection

    def prove(part: BackendPart, settings: EngineConfig, bundle: Bundle, precision: str) -> Verdict:
        known = tried.get(precision) if part.on_processor else None
        if isinstance(known, EdgeError):
            raise known
        return known or selection.prove(part, settings, bundle, precision)

    backends = selection.backends_here(config)
    measured = measure.measure(bundle, config.engine, backends, prove)
    machine_cache.remember(bundle, measured.choice, selection.traits(backends))
    for line in measured.table():
        print(f"measured  {line}")
    print(f"chosen    {measured.choice}: {measured.choice.why}")


def _try_precision(bundle: Bundle, precision: str, tried: dict[str, Verdict | EdgeError]) -> str:
    """One line: how a precision does on golden.npz on this machine, or why it does not run.

    What was found is added to ``tried``.
    """
    if precision == "int8-trt":
        return "for TensorRT only, not tried here"
    from edge.engines import selection
    from edge.engines.backends import BACKENDS

    try:
        verdict = tried[precision] = selection.prove(BACKENDS[0], EngineConfig(), bundle, precision)
    except EdgeError as error:
        tried[precision] = error
        return f"does not run here: {error}"
    if bundle.manifest.golden is None:
        return "runs here; there is no golden.npz to compare it with"
    return f"{'reproduces' if verdict.passed else 'does NOT reproduce'} golden.npz ({verdict})"

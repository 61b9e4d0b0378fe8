"""``emotion-edge check``: build everything, measure what is fastest, and say what was found."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from edge import session
from edge.bundle import Bundle
from edge.capture.rtsp import without_password
from edge.config import Config
from edge.engines import machine_cache
from edge.engines import measure as choose
from edge.engines.golden import reproduces
from edge.engines.ort import OrtEngine
from edge.engines.selection import ENGINES, engine_kinds, traits
from edge.errors import EdgeError, SourceError
from edge.protocols import Engine


def check(config: Config) -> None:
    """Build everything, try every precision, run one frame through, and print what was found."""
    bundle = session.bundle(config)
    print(f"bundle    {bundle.manifest.name} {bundle.manifest.version}, all hashes right")
    for precision in bundle.precisions:
        print(f"network   {precision}: {_try_precision(bundle, precision)}")
    if config.bundle.precision == "auto":
        make = partial(_make_engine, config, bundle)
        kinds = engine_kinds(config)
        choice = choose.measure(bundle, make, kinds)
        machine_cache.remember(bundle, choice, traits(kinds))
        print(f"chosen    {choice}: {choice.why}")
    with ExitStack() as stack:
        frames = stack.enter_context(session.frames(config, lambda: None))
        step = stack.enter_context(session.engine(config, bundle))
        finder = stack.enter_context(session.detector(config, bundle.folder))
        outlets = session.sinks(config, bundle)
        pipeline = session.pipeline(config, bundle, finder, step, [])
        frame = next(iter(frames), None)
        address = without_password(config.source.address)
        if frame is None:
            raise SourceError(f"source {address} opened but gave no frame; try it in a player")
        pipeline.step(frame)
        height, width = frame.image.shape[:2]
        print(f"source    {address}: {width}x{height} pixels")
        print(f"detector  {type(finder).__name__}: {len(finder.detect(frame))} faces in the first frame")
        print(f"outputs   {', '.join(type(sink).__name__ for sink in outlets) or 'none'}")


def _make_engine(config: Config, bundle: Bundle, kind: str, precision: str, threads: int) -> Engine:
    return ENGINES[kind](config, bundle, precision, threads)


def _try_precision(bundle: Bundle, precision: str) -> str:
    """One line: the golden verdict of a precision on this machine, or why it does not run."""
    if precision == "int8-trt":
        return "is for TensorRT, not tried here"
    try:
        with OrtEngine(bundle.model(precision)) as engine:
            verdict = reproduces(engine, bundle)
    except EdgeError as error:
        return f"does not run here: {error}"
    return f"{'reproduces' if verdict.passed else 'does NOT reproduce'} golden.npz ({verdict})"

"""Chooses the engine that runs the step: as configured, else as measured, else the best on this machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from edge.bundle import Bundle
from edge.config import Config, EngineConfig
from edge.engines import improving as measuring
from edge.engines.admission import Admit, admit
from edge.engines.backends import BACKENDS, BackendPart, tensorrt_fault
from edge.engines.golden import Verdict, reproduces
from edge.engines.machine_cache import passed_before, recall, remember_verdict
from edge.engines.measure import Choice
from edge.errors import BundleError, ConfigError, EdgeError
from edge.parts import names
from edge.protocols import Engine
from edge.system.device import l4t

log = logging.getLogger("edge")


def engine(
    config: Config,
    bundle: Bundle,
    admitted: Admit = admit,
    improving: bool = False,
) -> Engine:
    """The engine for the chosen backend, which must reproduce golden.npz first.

    ``admitted`` tries a network on the processor, once on each machine: a child does, so that nothing that
    the network does wrong happens here. With ``improving``, a machine on which nothing has been measured yet
    is measured during the run, with all golden outputs; so a brief trial does until then.
    """
    backends = backends_here(config)
    kind, precision, threads = _wanted(config, bundle, backends)
    backend = _named(kind)
    if backend.serve is None:
        if not (improving and _is_unknown(config, bundle, backends)):
            return _proven(backend, config, bundle, precision, threads, admitted)
        first = _proven(backend, config, bundle, precision, threads, admitted, brief=True)
        command = measuring.command(bundle, config.engine.kind)
        return measuring.Improving(
            first, command, lambda choice: load(config, bundle, choice, admitted), measuring.DELAY_S
        )
    return backend.serve(config.engine, bundle, precision, _standby(config, bundle, admitted))


def load(config: Config, bundle: Bundle, choice: Choice, admitted: Admit = admit) -> Engine:
    """The engine of a measured ``choice``; BundleError if it does not reproduce golden.npz."""
    return _proven(_named(choice.engine), config, bundle, choice.precision, choice.threads, admitted)


def prove(
    backend: BackendPart,
    settings: EngineConfig,
    bundle: Bundle,
    precision: str,
    admitted: Admit = admit,
    brief: bool = False,
) -> Verdict:
    """Try a precision on a backend now; the verdict is kept where another start will need it.

    ``brief``: with the first golden sequences only, on the processor. EdgeError if it does not run.
    """
    if backend.on_processor:
        verdict = admitted(bundle, precision, brief)
        remember_verdict(bundle, precision, verdict, brief)
        return verdict
    with backend.load(settings, bundle, precision, 1) as engine:
        return reproduces(engine, bundle)


def wanted(config: Config, bundle: Bundle) -> tuple[str, str, int]:
    """Backend, precision and threads: as configured, else as measured here, else the best guess."""
    return _wanted(config, bundle, backends_here(config))


def _wanted(config: Config, bundle: Bundle, backends: Sequence[BackendPart]) -> tuple[str, str, int]:
    precision, threads = config.bundle.precision, config.bundle.threads
    if precision == "auto" and (cached := _stored(bundle, backends)):
        log.info("%s (%s)", cached, cached.why)
        return cached.engine, cached.precision, cached.threads
    if precision != "auto":
        bundle.model(precision)  # a precision configured by name must exist
    capable = [part for part in backends if precision in ("auto", *part.precisions)]
    if not capable and precision == "int8-trt":
        fault = tensorrt_fault() or f"engine.kind is {config.engine.kind}"
        raise BundleError(
            f"int8-trt is for TensorRT ({fault}), and slow on ONNX Runtime; set bundle.precision=int8-cpu"
        )
    if not capable:
        available = " and ".join(part.name for part in backends)
        raise ConfigError(f"{available} cannot run {precision}; set bundle.precision=auto")
    best = capable[-1]
    if precision == "auto":
        precision = best.precisions[0]
        log.info("%s on %s; run `emotion-edge check` to measure what is fastest here", precision, best.name)
    return best.name, precision, threads


def backends_here(config: Config) -> list[BackendPart]:
    """The backends available here, fastest last, or the configured one; ConfigError if it is unavailable."""
    kind = config.engine.kind
    if kind == "auto":
        faults = {part.name: part.fault() for part in BACKENDS}
        if faults["tensorrt"] and l4t():
            log.warning("TensorRT is not used: %s", faults["tensorrt"])
        return [part for part in BACKENDS if not faults[part.name]]
    named = next((part for part in BACKENDS if part.name == kind), None)
    if named is None:
        raise ConfigError(f"engine.kind is {kind!r}, expected auto, {names(BACKENDS)}")
    if named.serve and (fault := named.fault()):
        raise ConfigError(f"engine.kind is {kind}: {fault}; fix that or set engine.kind=auto")
    return [named]


def _is_unknown(config: Config, bundle: Bundle, backends: Sequence[BackendPart]) -> bool:
    """Whether the choice is left to this machine, and nothing has been measured on it that still holds."""
    measurable = config.bundle.precision == "auto" and bundle.manifest.golden is not None
    return measurable and _stored(bundle, backends) is None


def _stored(bundle: Bundle, backends: Sequence[BackendPart]) -> Choice | None:
    """What was measured on this machine, if it can still be used."""
    cached = recall(bundle, traits(backends))
    known = cached and cached.engine in [part.name for part in backends]
    return cached if cached and known and cached.precision in bundle.precisions else None


def _named(kind: str) -> BackendPart:
    return next(part for part in BACKENDS if part.name == kind)


def traits(parts: Sequence[BackendPart]) -> list[str]:
    """What a measured choice depends on, besides the processor."""
    return [*(part.name for part in parts), *(trait for part in parts for trait in part.traits())]


def _proven(
    backend: BackendPart,
    config: Config,
    bundle: Bundle,
    precision: str,
    threads: int,
    admitted: Admit,
    brief: bool = False,
) -> Engine:
    """The loaded engine; BundleError if it does not reproduce golden.npz.

    ``brief``: its first sequences suffice for now, on the processor.
    """
    if backend.on_processor:
        if not passed_before(bundle, precision, brief):
            text = "the network of %s (%s) is new on this machine: checking graph, memory and golden outputs"
            log.info(text, bundle.manifest.name, precision)
            _refuse(backend, precision, prove(backend, config.engine, bundle, precision, admitted, brief))
        return backend.load(config.engine, bundle, precision, threads)
    loaded: Engine = backend.load(config.engine, bundle, precision, threads)
    _refuse(backend, precision, reproduces(loaded, bundle))
    return loaded


def _refuse(backend: BackendPart, precision: str, verdict: Verdict) -> None:
    """Raise BundleError unless ``verdict`` is good."""
    safe = ("fp32", "onnxruntime")
    fix = (
        "export it again"
        if (precision, backend.name) == safe
        else ("set bundle.precision=fp32 and engine.kind=onnxruntime")
    )
    if not verdict.passed:
        raise BundleError(
            f"{precision} on {backend.name} does not reproduce golden.npz on this machine ({verdict}); {fix}"
        )


def _standby(config: Config, bundle: Bundle, admitted: Admit) -> Engine:
    """The fp32 engine to use until the chosen backend is ready: the best one that is ready and correct."""
    ready = [part for part in BACKENDS if part.serve is None and not part.fault()]
    for backend in reversed(ready[1:]):
        try:
            return _proven(backend, config, bundle, "fp32", 1, admitted)
        except EdgeError as error:
            log.warning("%s", error)
    return _proven(ready[0], config, bundle, "fp32", config.bundle.threads, admitted)

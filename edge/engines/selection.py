"""Which engine runs the step: as configured, else as measured, else the best that this machine has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.bundle import Bundle
from edge.config import Config
from edge.engines.golden import reproduces
from edge.engines.machine_cache import passed_before, recall, remember_verdict
from edge.engines.measure import CANDIDATES
from edge.engines.ort import CUDA, OrtEngine, cuda_provider
from edge.engines.tensorrt.builder import library
from edge.errors import BundleError, ConfigError, EdgeError
from edge.protocols import Engine
from edge.system.device import gpu, jetpack, l4t

log = logging.getLogger("edge")

# Engines take a precision of the bundle and a number of threads.
ENGINES: dict[str, Callable[[Config, Bundle, str, int], Engine]] = {
    "onnxruntime": lambda c, b, precision, threads: _fitting(b, OrtEngine(b.model(precision), threads)),
    "onnxruntime-cuda": lambda c, b, precision, _: _fitting(b, OrtEngine(b.model(precision), provider=CUDA)),
    "tensorrt": lambda c, b, precision, _: _tensorrt(c, b, precision),
}
# What each can run: what `check` measures, and float16 on the processor, which it does not.
_RUNS = {kind: precisions for kind, (precisions, _) in CANDIDATES.items()}
_RUNS["onnxruntime"] += ("fp16",)


def engine(config: Config, loaded: Bundle) -> Engine:
    """The step on the wanted engine; all but fp32 on the processor must reproduce golden.npz here first."""
    kind, precision, threads = wanted(config, loaded)
    if kind != "tensorrt":
        return _right(ENGINES[kind](config, loaded, precision, threads), loaded, kind, precision)
    from edge.engines.tensorrt import hot_swap

    if config.bundle.precision != "auto":
        loaded.model(precision)  # what is named has to be there
    later = hot_swap.RUNGS[hot_swap.RUNGS.index(precision) :]
    for missing in (rung for rung in later if rung not in loaded.precisions):
        log.warning("%s on TensorRT is left out: the bundle has no such file", missing)
    rungs = [rung for rung in later if rung in loaded.precisions]
    return hot_swap.Serving(loaded, _standby(config, loaded), rungs, config.engine.faces, _plans(config))


def wanted(config: Config, loaded: Bundle) -> tuple[str, str, int]:
    """Engine, precision and threads: as configured, else as `check` measured, else the best engine here."""
    kinds, precision, threads = engine_kinds(config), config.bundle.precision, config.bundle.threads
    known = recall(loaded, traits(kinds)) if precision == "auto" else None
    if known is not None and known.engine in kinds and known.precision in loaded.precisions:
        log.info("%s (%s)", known, known.why)
        return known.engine, known.precision, known.threads
    fitting = [kind for kind in kinds if precision == "auto" or precision in _RUNS[kind]]
    if not fitting and precision == "int8-trt":
        fault = _trt_fault() or f"engine.kind is {config.engine.kind}"
        raise BundleError(
            f"int8-trt is for TensorRT ({fault}), and ONNX Runtime crawls on it; "
            "set bundle.precision=int8-cpu"
        )
    if not fitting:
        raise ConfigError(f"{' and '.join(kinds)} cannot run {precision}; set bundle.precision=auto")
    kind = fitting[-1]
    if precision == "auto":
        log.info("`emotion-edge check` measures which engine and precision are fastest here")
        precision = _RUNS[kind][0]
    return kind, precision, threads


def _fitting(loaded: Bundle, built: OrtEngine) -> OrtEngine:
    """``built``; BundleError where the manifest describes another graph."""
    about, labels = loaded.manifest.input, len(loaded.labels)
    face = (about.channels, about.size, about.size)
    inputs = {"face": face, **{tensor.input: tensor.shape for tensor in loaded.state}}
    outputs = {"logits": (labels,), **{tensor.output: tensor.shape for tensor in loaded.state}}
    for found, wanted in ((built.inputs, inputs), (built.outputs, outputs)):
        for name, shape in wanted.items():
            has = found[name].shape[1:] if name in found else None
            if has is None or [d for d in has if d is not None] != list(shape):
                raise BundleError(
                    f"{loaded.folder}: by its manifest {name} has the shape {shape}, in the graph "
                    f"{'there is none' if has is None else has}; export the bundle again"
                )
    return built


def _right(built: Engine, loaded: Bundle, kind: str, precision: str) -> Engine:
    """``built``; BundleError where it computes something else than the bundle promises.

    What was right on this processor stays so, and is not tried at every start; a GPU's driver may change.
    """
    on_processor = kind == "onnxruntime"
    if on_processor and (precision == "fp32" or passed_before(loaded, precision)):
        return built
    verdict = reproduces(built, loaded)
    if on_processor:
        remember_verdict(loaded, precision, verdict)
    if verdict.passed:
        return built
    raise BundleError(
        f"{precision} on {kind} does not reproduce golden.npz on this machine ({verdict}); "
        "set bundle.precision=fp32 and engine.kind=onnxruntime"
    )


def engine_kinds(config: Config) -> list[str]:
    """The engines that this machine has, the fastest last, or the configured one."""
    kind = config.engine.kind
    if kind not in ("auto", *ENGINES):
        raise ConfigError(f"engine.kind is {kind!r}, expected auto, {', '.join(ENGINES)}")
    fault = _trt_fault() if kind in ("auto", "tensorrt") else ""
    if kind == "tensorrt" and fault:
        raise ConfigError(f"engine.kind is tensorrt: {fault}; or set engine.kind=auto")
    if kind != "auto":
        return [kind]
    if fault and l4t():
        log.warning("TensorRT is not used: %s", fault)
    found = {"onnxruntime": True, "onnxruntime-cuda": cuda_provider(), "tensorrt": not fault}
    return [kind for kind, here in found.items() if here]


def _trt_fault() -> str:
    """Why TensorRT cannot run here; empty where it can. Without a GPU, none of its modules is imported."""
    try:
        jetpack()
        gpu()
    except EdgeError as error:
        return str(error)
    from edge.engines.tensorrt import hot_swap

    return hot_swap.unusable()


def _tensorrt(config: Config, loaded: Bundle, precision: str) -> Engine:
    from edge.engines.tensorrt import hot_swap

    return hot_swap.obtain(loaded, precision, config.engine.faces, _plans(config))


def traits(kinds: Sequence[str]) -> list[str]:
    """What a measured choice depends on, beside the processor."""
    if "tensorrt" not in kinds:
        return list(kinds)
    trt, here = library(), gpu()
    return [*kinds, trt.__name__, trt.__version__, here.name, here.capability, jetpack()]


def _standby(config: Config, loaded: Bundle) -> Engine:
    """ONNX Runtime in fp32, on the GPU where it can and is right."""
    if cuda_provider():
        try:
            return _right(
                ENGINES["onnxruntime-cuda"](config, loaded, "fp32", 1), loaded, "onnxruntime-cuda", "fp32"
            )
        except EdgeError as error:
            log.warning("%s", error)
    return ENGINES["onnxruntime"](config, loaded, "fp32", config.bundle.threads)


def _plans(config: Config) -> Path:
    """The folder in which TensorRT engines are kept."""
    from edge.engines.tensorrt import plans

    return Path(config.engine.folder or plans.default_folder()).absolute()

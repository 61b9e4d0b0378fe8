"""Which engine runs the step: as configured, else as measured, else the best that this machine has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edge.bundle import Bundle
from edge.config import Config
from edge.engines import trt_cache, trt_serve
from edge.engines.device import l4t
from edge.engines.ort import CUDA, OrtEngine, cuda_provider
from edge.errors import BundleError, ConfigError, EdgeError
from edge.protocols import Engine
from edge.recognition.choose import recall
from edge.recognition.golden import reproduces

log = logging.getLogger("edge")

# Engines take a precision of the bundle and a number of threads.
ENGINES: dict[str, Callable[[Config, Bundle, str, int], Engine]] = {
    "onnxruntime": lambda c, b, precision, threads: OrtEngine(b.model(precision), threads),
    "onnxruntime-cuda": lambda c, b, precision, _: OrtEngine(b.model(precision), 1, provider=CUDA),
    "tensorrt": lambda c, b, precision, _: trt_serve.load(b, precision, c.engine.faces, _plans(c)),
}


def engine(config: Config, loaded: Bundle) -> Engine:
    """The step on the wanted engine; any precision but fp32 must reproduce golden.npz here first."""
    kind, precision, threads = _wanted(config, loaded)
    if kind != "tensorrt":
        return _right(ENGINES[kind](config, loaded, precision, threads), loaded, precision)
    first = trt_serve.RUNGS.index(precision)
    rungs = [rung for rung in trt_serve.RUNGS[first:] if rung in loaded.precisions]
    return trt_serve.Serving(loaded, _standby(config, loaded), rungs, config.engine.faces, _plans(config))


def _wanted(config: Config, loaded: Bundle) -> tuple[str, str, int]:
    """Engine, precision and threads: as configured, else as `check` measured, else TensorRT, else fp32."""
    kind, precision, threads = config.engine.kind, config.bundle.precision, config.bundle.threads
    if kind not in ("auto", *ENGINES):
        raise ConfigError(f"engine.kind is {kind!r}, expected auto, {', '.join(ENGINES)}")
    if kind == "auto" and precision == "auto" and (known := recall(loaded)) is not None:
        if known.engine in engine_kinds(config) and known.precision in loaded.precisions:
            log.info("%s (%s)", known, known.why)
            return known.engine, known.precision, known.threads
        log.warning("%s, which `check` found fastest, is not there any more; run it again", known)
    if kind == "auto":
        for_gpu = precision in ("auto", "int8-trt") and "tensorrt" in engine_kinds(config)
        kind = "tensorrt" if for_gpu else "onnxruntime"
    if kind == "tensorrt":
        if fault := trt_serve.unusable():
            raise ConfigError(f"engine.kind is tensorrt: {fault}; or set engine.kind=auto")
        if precision not in ("auto", *trt_serve.RUNGS):
            raise ConfigError(f"TensorRT does not run {precision}; set engine.kind=auto")
        return kind, trt_serve.RUNGS[0] if precision == "auto" else precision, threads
    if precision == "int8-trt":
        fault = trt_serve.unusable() or "engine.kind is another"
        raise BundleError(
            f"int8-trt is for TensorRT ({fault}), and ONNX Runtime crawls on it; "
            "set bundle.precision=int8-cpu"
        )
    if precision == "auto":
        log.info("fp32 on %d threads; `emotion-edge check` measures what is fastest here", threads)
        precision = "fp32"
    return kind, precision, threads


def _right(built: Engine, loaded: Bundle, precision: str) -> Engine:
    """``built``; BundleError where it computes something else than the bundle promises."""
    if precision != "fp32" and not (verdict := reproduces(built, loaded)).passed:
        raise BundleError(
            f"{precision} does not reproduce golden.npz on this machine ({verdict}); "
            "set bundle.precision=fp32"
        )
    return built


def engine_kinds(config: Config) -> list[str]:
    """The engines that this machine has, or the configured one."""
    if config.engine.kind != "auto":
        return [config.engine.kind]
    found = ["onnxruntime"]
    if cuda_provider():
        found.append("onnxruntime-cuda")
    if not (fault := trt_serve.unusable()):
        found.append("tensorrt")
    elif l4t():
        log.warning("TensorRT is not used: %s", fault)
    return found


def _standby(config: Config, loaded: Bundle) -> Engine:
    """ONNX Runtime in fp32, on the GPU where it can."""
    if cuda_provider():
        try:
            return ENGINES["onnxruntime-cuda"](config, loaded, "fp32", 1)
        except EdgeError as error:
            log.warning("%s", error)
    return ENGINES["onnxruntime"](config, loaded, "fp32", config.bundle.threads)


def _plans(config: Config) -> Path:
    """The folder in which TensorRT engines are kept."""
    return Path(config.engine.folder) if config.engine.folder else trt_cache.default_folder()

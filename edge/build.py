"""From settings to parts: plain dicts, kind -> class, that an editor can follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.capture.demo import DemoSource
from edge.capture.images import ImageFolderSource
from edge.capture.opencv import OpenCVSource
from edge.config import Config
from edge.engines import trt_cache, trt_serve
from edge.engines.device import l4t
from edge.engines.ort import CUDA, OrtEngine, cuda_provider
from edge.errors import BundleError, ConfigError, EdgeError
from edge.faces.haar import HaarDetector
from edge.faces.tracker import Tracker
from edge.faces.yunet import YuNetDetector
from edge.fetch import cached_detector
from edge.pipeline import Pipeline
from edge.protocols import Engine, FaceDetector, Sink, Source
from edge.recognition.choose import recall
from edge.recognition.decision import Decision
from edge.recognition.golden import reproduces
from edge.recognition.recognizer import Recognizer
from edge.sinks.jsonl import JsonlSink
from edge.sinks.trajectory import TrajectorySink
from edge.sinks.video import VideoSink

log = logging.getLogger("edge")

SOURCES: dict[str, Callable[[Config], Source]] = {
    "demo": lambda _: DemoSource(),
    "folder": lambda c: ImageFolderSource(c.source.address, c.source.fps or 10.0),
    "opencv": lambda c: OpenCVSource(c.source.address, c.source.width, c.source.height, c.source.fps),
}
DETECTORS: dict[str, Callable[[Config, Path | None], FaceDetector]] = {
    "yunet": lambda c, model: _yunet(c, model),
    "haar": lambda _, model: HaarDetector(),
}
# Engines take a precision of the bundle and a number of threads.
ENGINES: dict[str, Callable[[Config, Bundle, str, int], Engine]] = {
    "onnxruntime": lambda c, b, precision, threads: OrtEngine(b.model(precision), threads),
    "onnxruntime-cuda": lambda c, b, precision, _: OrtEngine(b.model(precision), 1, provider=CUDA),
    "tensorrt": lambda c, b, precision, _: trt_serve.load(b, precision, c.engine.faces, _plans(c)),
}
SINKS: dict[str, Callable[[Config, Bundle], Sink]] = {
    "jsonl": lambda c, b: JsonlSink(c.output.jsonl, b.labels, c.output.every_frame),
    "annotate": lambda c, b: VideoSink(c.output.annotate, b.labels),
    "trajectory": lambda c, b: TrajectorySink(c.output.trajectory, b.labels),
}


def source(config: Config) -> Source:
    """The camera, file or folder behind ``source.address``."""
    address = config.source.address
    kind = "demo" if address == "demo" else "folder" if Path(address).is_dir() else "opencv"
    return SOURCES[kind](config)


def bundle(config: Config) -> Bundle:
    """The bundle of ``bundle.path``, else the reference bundle; every hash checked."""
    return bundles.load(Path(config.bundle.path) if config.bundle.path else bundles.REFERENCE)


def detector(config: Config, folder: Path) -> FaceDetector:
    """``detector.model``, else a YuNet file in the bundle, else the fetched one, else Haar."""
    kind = config.detector.kind
    if kind not in ("auto", *DETECTORS):
        raise ConfigError(f"detector.kind is {kind!r}, expected auto, {', '.join(DETECTORS)}")
    model = _detector_model(config, folder)
    if kind == "auto":
        kind = "yunet" if model else "haar"
        if model is None:
            log.warning(
                "no YuNet file found: the Haar cascade stands in, with fewer faces and more false ones; "
                "run `emotion-edge fetch` once, or set detector.model"
            )
    return DETECTORS[kind](config, model)


def _detector_model(config: Config, folder: Path) -> Path | None:
    if config.detector.model:
        return Path(config.detector.model)
    inside = folder / "face_detection_yunet_2023mar.onnx"
    return inside if inside.is_file() else cached_detector()


def _yunet(config: Config, model: Path | None) -> FaceDetector:
    if model is None:
        raise BundleError("no YuNet file found; run `emotion-edge fetch` once, or set detector.model")
    return YuNetDetector(model, config.detector.input_width, config.detector.score_threshold)


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


def decision(config: Config, loaded: Bundle) -> Decision:
    """The bundle's temperature and threshold, the latter unless the configuration has its own."""
    threshold = config.decision.abstain_below
    return Decision(
        labels=loaded.labels,
        temperature=loaded.manifest["temperature"],
        abstain_below=loaded.manifest["abstain_below"] if threshold is None else threshold,
        min_face_px=config.decision.min_face_px,
    )


def sinks(config: Config, loaded: Bundle) -> list[Sink]:
    """One sink for each entry of [output] that is set; ConfigError where one would overwrite another file."""
    taken = {Path(config.source.address).resolve(): "the source"}
    for kind in SINKS:
        path = getattr(config.output, kind)
        if not path or path == "-":
            continue
        where = Path(path).resolve()
        if where in taken:
            raise ConfigError(f"output.{kind} is {path}, which is {taken[where]}; give it a file of its own")
        taken[where] = f"output.{kind}, too"
    return [make(config, loaded) for kind, make in SINKS.items() if getattr(config.output, kind)]


def pipeline(
    config: Config, loaded: Bundle, finder: FaceDetector, step: Engine, outlets: Sequence[Sink]
) -> Pipeline:
    """The loop over parts that the caller has opened and will close."""
    tracker = Tracker(
        iou_threshold=config.tracker.iou_threshold,
        lost_s=config.tracker.lost_s,
        confirm=config.tracker.confirm,
    )
    recognizer = Recognizer(step, loaded, decision(config, loaded))
    return Pipeline(finder, tracker, recognizer, outlets, config.detector.every)

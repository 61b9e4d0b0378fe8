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
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, ConfigError
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
ENGINES: dict[str, Callable[[Path, int], Engine]] = {
    "onnxruntime": lambda model, threads: OrtEngine(model, threads),
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
    """The step graph in the chosen precision; any but fp32 must reproduce golden.npz here first.

    With precision "auto" it is what `check` measured on this machine, where it did; else fp32.
    """
    precision = config.bundle.precision
    if precision == "auto":
        known = recall(loaded)
        if known is not None and known.precision in loaded.precisions:
            log.info("%s on %d threads (%s)", known.precision, known.threads, known.why)
            return ENGINES["onnxruntime"](loaded.model(known.precision), known.threads)
        log.info(
            "fp32 on %d threads; `emotion-edge check` measures what is fastest here", config.bundle.threads
        )
        precision = "fp32"
    if precision == "int8-trt":
        raise BundleError(
            "int8-trt is for TensorRT, and ONNX Runtime crawls on it; set bundle.precision=int8-cpu"
        )
    built = ENGINES["onnxruntime"](loaded.model(precision), config.bundle.threads)
    if precision != "fp32" and not (verdict := reproduces(built, loaded)).passed:
        raise BundleError(
            f"{precision} does not reproduce golden.npz on this machine ({verdict}); "
            "set bundle.precision=fp32"
        )
    return built


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

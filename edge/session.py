"""From settings to parts: plain dicts, kind -> class, that an editor can follow."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.capture.addresses import Followed
from edge.capture.opencv import OpenCVSource, is_camera
from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.rtsp import without_password
from edge.config import SOURCE_HELP, Config, SourceConfig
from edge.engines.selection import engine
from edge.errors import BundleError, ConfigError
from edge.faces.fetch import YUNET_NAME, YUNET_SHA256, cached_detector
from edge.faces.tracker import Tracker
from edge.faces.yunet import YuNetDetector
from edge.pipeline import Pipeline
from edge.protocols import Engine, FaceDetector, Sink, Source
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer
from edge.sinks.jsonl import JsonlSink
from edge.system.clock import WallClock
from edge.system.hashing import sha256

__all__ = ["bundle", "decision", "detector", "engine", "frames", "pipeline", "sinks", "source"]

log = logging.getLogger("edge")


# What a run does not use it does not import: that would cost each start time and memory.
def _demo(_: SourceConfig) -> Source:
    from edge.capture.demo import DemoSource

    return DemoSource()


def _folder(c: SourceConfig) -> Source:
    from edge.capture.images import ImageFolderSource

    return ImageFolderSource(c.address, c.fps or 10.0)


def _picam(c: SourceConfig) -> Source:
    from edge.capture.picamera.source import PicameraSource

    return PicameraSource(c.address, c.width, c.height, c.fps, colour=c.colour, draw=c.draw)


def _gstreamer(c: SourceConfig) -> Source:
    from edge.capture.gstreamer.source import GStreamerSource

    return GStreamerSource(c.address, c.width, c.height, c.fps)


def _rtsp(c: SourceConfig) -> Source:
    from edge.capture.rtsp import RtspSource

    return RtspSource(c.address, c.width, c.height, c.fps)


def _child(settings: SourceConfig) -> Source:
    from edge.capture.reconnect.subprocess_source import ChildSource

    return ChildSource(settings)


def _haar() -> FaceDetector:
    from edge.faces.haar import HaarDetector

    return HaarDetector()


def _video(c: Config, b: Bundle) -> Sink:
    from edge.sinks.video import VideoSink

    return VideoSink(c.output.annotate, b.labels)


def _trajectory(c: Config, b: Bundle) -> Sink:
    from edge.sinks.trajectory import TrajectorySink

    return TrajectorySink(c.output.trajectory, b.labels)


SOURCES: dict[str, Callable[[SourceConfig], Source]] = {
    "demo": _demo,
    "folder": _folder,
    "opencv": lambda c: OpenCVSource(c.address, c.width, c.height, c.fps, colour=c.colour or c.draw),
    "picam": _picam,
    "csi": _gstreamer,
    "mjpeg": _gstreamer,
    "rtsp": _rtsp,
}
DETECTORS: dict[str, Callable[[Config, Path | None], FaceDetector]] = {
    "yunet": lambda c, model: _yunet(c, model),
    "haar": lambda c, model: _haar(),
}
SINKS: dict[str, Callable[[Config, Bundle], Sink]] = {
    "jsonl": lambda c, b: JsonlSink(
        c.output.jsonl, b.labels, c.output.every_frame, WallClock() if is_live(c) else None
    ),
    "annotate": _video,
    "trajectory": _trajectory,
}


def source_kind(address: str) -> str:
    """The key of SOURCES for an address; ConfigError for a scheme that is not there."""
    scheme, found, _ = address.partition("://")
    if found and scheme not in SOURCES:
        raise ConfigError(f"source {without_password(address)!r} is unknown; it is {SOURCE_HELP}")
    if found or address == "demo":
        return scheme
    return "folder" if Path(address).is_dir() else "opencv"


def is_live(config: Config) -> bool:
    """Whether the source is a camera, which runs on regardless."""
    kind = source_kind(config.source.address)
    return is_camera(config.source.address) if kind == "opencv" else kind not in ("demo", "folder")


def source(config: Config) -> Source:
    """The camera, file or folder behind ``source.address``, opened."""
    return SOURCES[source_kind(config.source.address)](config.source)


@contextmanager
def frames(config: Config, idle: Callable[[], None]) -> Iterator[Recovering | NewestFrames]:
    """The frames to work on: all of a file, the newest good ones of a camera that is brought back if it dies.

    ``idle`` is called at least every second while a camera gives none.
    """
    if not is_live(config):
        with source(config) as opened, NewestFrames(opened) as finite:
            yield finite
        return
    settings = config.recovery
    draw = config.source.draw or bool(config.output.annotate)
    camera = Followed(replace(config.source, draw=draw))

    def here() -> Source:
        opened = source(replace(config, source=camera.now()))
        camera.now()  # its link may have come by now; once it is unplugged, that is gone
        return opened

    # OpenCV waits 10 s for a camera that fell silent, and reads this once, when it first waits. A wait that
    # ends within our own patience leaves no thread behind that holds the camera.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, ceil(settings.stall_s))))
    with Recovering(
        here,
        (lambda: _child(camera.now())) if settings.child else None,
        settings.stall_s,
        settings.longest_wait_s,
        patient="NOTIFY_SOCKET" in os.environ,  # a service waits for its camera, a user wants to know
        idle=idle,
    ) as live:
        yield live


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
    inside = folder / YUNET_NAME
    if not inside.is_file():
        return cached_detector()
    if sha256(inside) != YUNET_SHA256:  # no file of a bundle is parsed before
        raise BundleError(f"{inside} is another file than YuNet's; remove it, or name it as detector.model")
    return inside


def _yunet(config: Config, model: Path | None) -> FaceDetector:
    if model is None:
        raise BundleError("no YuNet file found; run `emotion-edge fetch` once, or set detector.model")
    about = config.detector
    return YuNetDetector(model, about.input_width, about.score_threshold, about.keep_threshold)


def decision(config: Config, loaded: Bundle) -> Decision:
    """The bundle's temperature and threshold, the latter unless the configuration has its own."""
    threshold = config.decision.abstain_below
    return Decision(
        labels=loaded.labels,
        temperature=loaded.manifest.temperature,
        abstain_below=loaded.manifest.abstain_below if threshold is None else threshold,
        min_face_px=config.decision.min_face_px,
    )


def sinks(config: Config, loaded: Bundle) -> list[Sink]:
    """One sink for each entry of [output] that is set."""
    return [make(config, loaded) for kind, make in SINKS.items() if getattr(config.output, kind)]


def refuse_overwriting(config: Config) -> None:
    """ConfigError where one output would overwrite another, or the source."""
    taken = {Path(config.source.address).resolve(): "the source"}
    for kind in (*SINKS, "health"):
        path = getattr(config.output, kind)
        if not path or path == "-" or path.isdecimal():  # a port is no file
            continue
        where = Path(path).resolve()
        if where in taken:
            raise ConfigError(f"output.{kind} is {path}, which is {taken[where]}; give it a file of its own")
        taken[where] = f"output.{kind}, too"


def tracker(config: Config, finder: FaceDetector) -> Tracker:
    """For the faces that ``finder`` finds."""
    return Tracker(
        iou_threshold=config.tracker.iou_threshold,
        lost_s=config.tracker.lost_s,
        confirm=config.tracker.confirm,
        starts_at=finder.starts_at,
    )


def pipeline(
    config: Config, loaded: Bundle, finder: FaceDetector, step: Engine, outlets: Sequence[Sink]
) -> Pipeline:
    """The loop over parts that the caller has opened and will close."""
    recognizer = Recognizer(step, loaded, decision(config, loaded), config.budget.faces)
    return Pipeline(finder, tracker(config, finder), recognizer, outlets, config.detector.every)

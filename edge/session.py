"""The only place that opens the parts of a run: each on first use, all closed together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TypeVar

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.capture import sources
from edge.capture.addresses import Followed
from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.reconnect import Recovering
from edge.config import Config
from edge.engines import selection
from edge.faces import detectors
from edge.faces.tracker import Tracker
from edge.pipeline import Pipeline
from edge.protocols import Engine, FaceDetector, PictureSink, Source
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer
from edge.sinks import outputs

T = TypeVar("T")


@contextmanager
def parts(config: Config, idle: Callable[[], None] = lambda: None) -> Iterator[Parts]:
    """The parts that ``config`` names; ``idle`` is called at least every second without a frame.

    Raises ConfigError where outputs exclude one another. What a part needs is raised when it is first used.
    """
    outputs.refuse_overwriting(config.source.address, config.output)
    with ExitStack() as stack:
        yield Parts(config, stack, idle)


class Parts:
    """What one configuration names. Every part is opened when it is first asked for, and stays open."""

    def __init__(self, config: Config, stack: ExitStack, idle: Callable[[], None]) -> None:
        self.config = config
        self._stack, self._idle = stack, idle

    @property
    def live(self) -> bool:
        """Whether the source is a camera, which runs on regardless."""
        return sources.is_live(self.config.source.address)

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle of ``bundle.path``, else the reference bundle; every hash checked."""
        path = self.config.bundle.path
        return bundles.load(Path(path) if path else None)

    @cached_property
    def frames(self) -> Recovering | NewestFrames:
        """All frames of a file, the newest good ones of a camera that is brought back if it dies."""
        if self.live:
            return self._open(_recovering(self.config, self._idle))
        return self._open(NewestFrames(self._open(sources.open_source(self.config.source))))

    @cached_property
    def engine(self) -> Engine:
        """The step of the network."""
        return self._open(selection.engine(self.config, self.bundle))

    @cached_property
    def detector(self) -> FaceDetector:
        """``detector.model``, else a YuNet file in the bundle, else the fetched one, else Haar."""
        part, model = self._detector
        return self._open(part.load(self.config.detector, model))

    @cached_property
    def sinks(self) -> list[PictureSink]:
        """What the outputs of [output] are written through."""
        return [self._open(sink) for sink in outputs.open_sinks(self.config.output, self.live)]

    @cached_property
    def pipeline(self) -> Pipeline:
        """The loop over all of them; outputs come last: no fault of another part empties one."""
        pipeline = self.new_pipeline()
        pipeline.sinks = self.sinks
        return pipeline

    def new_pipeline(self) -> Pipeline:
        """One more loop, without outputs and with tracks of its own, over the same engine and detector."""
        every = self.config.detector.every
        recognizer = self.new_recognizer()
        return Pipeline(self.detector, self.new_tracker(), recognizer, detect_every=every)

    def new_recognizer(self) -> Recognizer:
        """One more recognizer over the same engine."""
        return Recognizer(self.engine, self.bundle, self.decision, self.config.budget.faces)

    def new_tracker(self, starts_at: float | None = None) -> Tracker:
        """One more tracker; ``starts_at``: least score that begins a track (default: the detector's)."""
        about = self.config.tracker
        if starts_at is None:
            starts_at = self._detector[0].starts_tracks_at(self.config.detector)
        return Tracker(about.iou_threshold, about.lost_s, about.confirm, starts_at)

    @property
    def decision(self) -> Decision:
        """The bundle's temperature and threshold, the latter unless the configuration has its own."""
        manifest, own = self.bundle.manifest, self.config.decision
        threshold = manifest.abstain_below if own.abstain_below is None else own.abstain_below
        return Decision(manifest.labels, manifest.temperature, threshold, own.min_face_px)

    @cached_property
    def _detector(self) -> tuple[detectors.DetectorPart, Path | None]:
        return detectors.choose(self.config.detector, self.bundle.folder)

    def _open(self, part: AbstractContextManager[T]) -> T:
        return self._stack.enter_context(part)


def _recovering(config: Config, idle: Callable[[], None]) -> Recovering:
    settings = config.recovery
    draws = any(part.pictures for part in outputs.wanted(config.output))
    camera = Followed(replace(config.source, draw=config.source.draw or draws))

    def here() -> Source:
        source = sources.open_source(camera.now())
        camera.now()  # its link may have come by now; once it is unplugged, that is gone
        return source

    def apart() -> Source:
        from edge.capture.reconnect.subprocess_source import ChildSource

        return ChildSource(camera.now())

    # OpenCV waits 10 s for a camera that fell silent, and reads this once, when it first waits. A wait that
    # ends within our own patience leaves no thread behind that holds the camera.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, ceil(settings.stall_s))))
    return Recovering(
        here,
        apart if settings.child else None,
        settings.stall_s,
        settings.longest_wait_s,
        patient="NOTIFY_SOCKET" in os.environ,  # a service waits for its camera, a user wants to know
        idle=idle,
    )

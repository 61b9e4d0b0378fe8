"""Opens the parts of a run, and is the only module that does: each on first use, all closed together."""

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
from edge.capture import orientation, sources
from edge.capture.addresses import Followed, node_of, refuse_absent
from edge.capture.orientation import Orientation
from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.timeouts import Timeouts
from edge.config import Config, SourceConfig
from edge.engines import selection
from edge.engines.improving import Improving
from edge.engines.switching import Switching
from edge.engines.tensorrt.build_progress import Progress
from edge.faces import detectors
from edge.faces.fine_looks import PROPOSES_PX
from edge.faces.tracker import Tracker
from edge.faces.wide import WideLooks
from edge.pipeline import Pipeline
from edge.protocols import Engine, FaceDetector, PictureSink, Source
from edge.recognition.decision import Decision
from edge.recognition.face_check import FaceCheck
from edge.recognition.recognizer import Recognizer
from edge.sinks import outputs
from edge.sinks.overwriting import refuse_overwriting
from edge.system.closing import enter
from edge.system.pace import PERIODS

T = TypeVar("T")


@contextmanager
def parts(
    config: Config, idle: Callable[[], None] = lambda: None, improving: bool = False
) -> Iterator[Parts]:
    """The parts of ``config``; ``idle`` is called at least once a second while there is no frame.

    With ``improving``, a machine that was not measured yet is measured during the run: call ``improve``.
    Raises ConfigError if outputs conflict, or one is a file that is read. A part that cannot be opened raises
    its error on first use.
    """
    refuse_overwriting(config)
    with ExitStack() as stack:
        yield Parts(config, stack, idle, improving)


class Parts:
    """The parts of one configuration. Each is opened on first access and stays open."""

    def __init__(
        self, config: Config, stack: ExitStack, idle: Callable[[], None], improving: bool = False
    ) -> None:
        self.config = config
        self._stack, self._idle, self._improving = stack, idle, improving
        self._orientation = orientation.chosen(config.source.rotate, config.source.mirror)

    @property
    def live(self) -> bool:
        """Whether the source is a camera, which does not wait for its reader."""
        return sources.is_live(self.config.source.address)

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle at ``bundle.path``, else the reference bundle; every hash is checked."""
        path = self.config.bundle.path
        return bundles.load(Path(path) if path else None, limits=self.config.limits)

    @cached_property
    def frames(self) -> Recovering | NewestFrames:
        """All frames of a file, or the newest intact frames of a camera, which is reopened if it fails."""
        if self.live:
            config = replace(self.config, source=self._source)
            return self._open(_camera_frames(config, self._idle, self._orientation))
        source = self._open(sources.open_source(self._source))
        return self._open(NewestFrames(source, self._orientation))

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs the network's step."""
        return self._open(selection.engine(self.config, self.bundle, improving=self._improving))

    def improve(self) -> None:
        """Between two frames: change to an engine that was measured to be faster meanwhile."""
        if isinstance(self.engine, Improving):
            self.engine.between_frames()

    @property
    def building(self) -> Progress | None:
        """The engine that is being built meanwhile; None if none is."""
        return self.engine.building if isinstance(self.engine, Switching) else None

    @cached_property
    def detector(self) -> FaceDetector:
        """``detector.model``, else the bundle's YuNet file, else the downloaded one, else Haar."""
        part, model = self._detector
        return self._open(part.load(self.config.detector, model))

    @cached_property
    def sinks(self) -> list[PictureSink]:
        """The writers of the outputs in [output]; files of lines last, because they are emptied at once."""
        sinks = outputs.open_sinks(self.config.output, self.live)
        for sink in reversed(sinks):
            self._open(sink)
        return sinks

    @cached_property
    def pipeline(self) -> Pipeline:
        """The pipeline over all parts. Outputs are opened last, so that no other error truncates a file."""
        pipeline = self.new_pipeline()
        pipeline.sinks = self.sinks
        return pipeline

    def new_pipeline(self) -> Pipeline:
        """Another pipeline over the same engine and detector, with its own tracks and without outputs."""
        every = self.config.detector.every
        recognizer = self.new_recognizer()
        return Pipeline(
            self.detector, self.new_tracker(), recognizer, detect_every=every, wide=self.new_wide_looks()
        )

    def new_wide_looks(self) -> WideLooks | None:
        """Looks for small faces in parts of the frame; None where settings or detector rule it out."""
        settings = self.config.detector
        if not (settings.wide and self._detector[0].takes_parts):
            return None
        return WideLooks(settings.input_width, max(self.decision.min_face_px, PROPOSES_PX))

    def new_recognizer(self) -> Recognizer:
        """Another recognizer over the same engine."""
        settings = self.config.decision
        check = FaceCheck(self.bundle.manifest.face_check, settings.check_face)
        return Recognizer(
            self.engine, self.bundle, self.decision, self.config.budget.faces, check, settings.face_gone_s
        )

    def new_tracker(self, starts_at: float | None = None) -> Tracker:
        """Another tracker; ``starts_at``: minimum score that starts a track (default: the detector's)."""
        settings = self.config.tracker
        if starts_at is None:
            starts_at = self._detector[0].starts_tracks_at(self.config.detector)
        return Tracker(settings.iou_threshold, settings.lost_s, settings.confirm, starts_at)

    @property
    def decision(self) -> Decision:
        """The bundle's rules, unless the configuration overrides its threshold."""
        return Decision.of(self.bundle.manifest, self.config.decision)

    @cached_property
    def _source(self) -> SourceConfig:
        """Settings of the source: within [limits], in color or with pictures to draw on where needed."""
        settings = self.config.source
        draws = any(part.pictures for part in outputs.wanted(self.config.output))
        return replace(
            settings,
            color=settings.color or self.bundle.manifest.input.in_color,
            draw=settings.draw or draws,
            most_pixels=self.config.limits.most_pixels,
        )

    @cached_property
    def _detector(self) -> tuple[detectors.DetectorPart, Path | None]:
        return detectors.choose(self.config.detector, self.bundle.folder)

    def _open(self, part: AbstractContextManager[T]) -> T:
        return enter(self._stack, part)


def _camera_frames(config: Config, idle: Callable[[], None], turned: Orientation) -> Recovering:
    settings = config.recovery
    if config.source.fps:  # a camera that was asked for few frames is not silent between two of them
        settings = replace(settings, stall_s=max(settings.stall_s, PERIODS / config.source.fps))
    camera = Followed(config.source)

    def in_process() -> Source:
        source = sources.open_source(camera.now())
        camera.now()  # udev may have made the link by now; after an unplug it would be too late
        return source

    def in_subprocess() -> Source:
        from edge.capture.reconnect.subprocess_source import ChildSource

        return ChildSource(camera.now())

    patient = "NOTIFY_SOCKET" in os.environ  # a service waits; a user sees the error at once
    if not patient and (node := node_of(config.source.address)):
        refuse_absent(node)  # before an engine loads, which can take seconds
    # OpenCV waits 10 s for a silent camera by default, and reads this variable once, when it first waits. A
    # wait that ends within our own timeout leaves no thread behind that holds the camera.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, ceil(settings.stall_s))))
    return Recovering(
        in_process,
        in_subprocess if settings.child else None,
        Timeouts(stall_s=settings.stall_s, longest_wait_s=settings.longest_wait_s),
        patient=patient,
        idle=idle,
        orientation=turned,
    )

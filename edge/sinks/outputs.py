"""The table of outputs, and the writers for those that are configured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edge.config import NOT_SET, FileOutput, OutputConfig
from edge.config_file import fill
from edge.data import EmotionEstimate, Frame
from edge.errors import ConfigError
from edge.events import EstimateEvent
from edge.parts import Part, names
from edge.protocols import EventSink, PictureSink
from edge.system.clock import WallClock
from edge.system.closing import Closing, enter

GROUP = "emotion_edge.sinks"  # entry points in other packages; each refers to a SinkPart


@dataclass(frozen=True)
class SinkPart(Part):
    """An output; ``load`` takes its settings and returns an EventSink, or a PictureSink if ``pictures``."""

    pictures: bool = False
    metavar: str = "PATH"
    stdout: bool = False  # takes - for standard output


def _jsonl(settings: FileOutput) -> EventSink:
    from edge.sinks.jsonl import JsonlSink

    return JsonlSink(settings.path, settings.force)


def _annotate(settings: FileOutput) -> PictureSink:
    from edge.sinks.video import VideoSink

    return VideoSink(settings.path, settings.force)


def _trajectory(settings: FileOutput) -> PictureSink:
    from edge.sinks.trajectory import TrajectorySink

    return TrajectorySink(settings.path, settings.force)


SINKS: tuple[SinkPart, ...] = (
    SinkPart(
        "jsonl", _jsonl, FileOutput, "nothing", "JSON lines: a file, or - for standard output", stdout=True
    ),
    SinkPart(
        "annotate", _annotate, FileOutput, "PyAV", "the video with boxes and labels",
        pictures=True, metavar="OUT.mp4",
    ),
    SinkPart(
        "trajectory", _trajectory, FileOutput, "matplotlib", "a picture of the probabilities over time",
        pictures=True, metavar="OUT.png",
    ),
)  # fmt: skip


def options_text() -> str:
    """``--jsonl PATH, --annotate OUT.mp4 or --trajectory OUT.png``."""
    *most, last = [f"--{part.name} {part.metavar}" for part in SINKS]
    return f"{', '.join(most)} or {last}"


def wanted(output: OutputConfig) -> dict[SinkPart, Any]:
    """Each configured output with its settings; ConfigError for an unknown or forbidden one."""
    settings: dict[SinkPart, Any] = {}
    for name, values in output.sinks.items():
        part = _part(name)
        if values.get("path") == "":
            continue
        if values.get("path") == "-" and not part.stdout:
            raise ConfigError(f"output.{name} is -, but it writes a file only; give a path")
        if part.pictures and "NOTIFY_SOCKET" in os.environ and not output.pictures:
            raise ConfigError(
                f"output.{name} writes pictures, which a service may not; set output.pictures = true"
            )
        knows_force = any(entry.name == "force" for entry in fields(part.settings))
        forced = {"force": output.force} if knows_force else {}
        settings[part] = fill(part.settings, {**forced, **values}, f"output.{name}")
    return settings


def files(output: OutputConfig) -> dict[str, Path]:
    """Every file that a run would write, by its configuration key."""
    paths = {f"output.{part.name}": getattr(own, "path", "") for part, own in wanted(output).items()}
    paths["output.health"] = output.health
    return {key: Path(text) for key, text in paths.items() if text not in ("", "-") and not text.isdecimal()}


def open_sinks(output: OutputConfig, live: bool) -> list[PictureSink]:
    """The sinks for a pipeline: one writer for all event sinks, and each picture sink."""
    sinks = [(part, part.load(settings)) for part, settings in wanted(output).items()]
    events = [sink for part, sink in sinks if not part.pictures]
    clock = WallClock() if live else None
    writers: list[PictureSink] = [EventWriter(events, output.every_frame, clock)] if events else []
    return writers + [sink for part, sink in sinks if part.pictures]


class EventWriter(Closing):
    """Creates the events of each frame once and passes them to every event sink."""

    def __init__(
        self, sinks: Sequence[EventSink], every_frame: bool = False, clock: WallClock | None = None
    ) -> None:
        """``every_frame``: also write estimates between two steps; ``clock``: for a live source."""
        self._sinks, self._every_frame, self._clock = sinks, every_frame, clock
        self._stack = ExitStack()

    def __enter__(self) -> EventWriter:
        with ExitStack() as stack:
            for sink in self._sinks:
                enter(stack, sink)
            self._stack = stack.pop_all()
        return self

    def close(self) -> None:
        """Close every sink."""
        self._stack.close()

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Write the fresh estimates of one frame."""
        events = [
            EstimateEvent.of(frame, estimate, self._wall(estimate))
            for estimate in estimates
            if estimate.fresh or self._every_frame
        ]
        for sink in self._sinks:
            sink.write(events)

    def _wall(self, estimate: EmotionEstimate) -> tuple[str, bool] | None:
        return None if self._clock is None else self._clock.at(float(estimate.timestamp_s))


def _part(name: str) -> SinkPart:
    table: Mapping[str, SinkPart] = {part.name: part for part in SINKS}
    if name in table:
        return table[name]
    from importlib.metadata import entry_points  # slow to import, and rarely needed

    for entry in entry_points(group=GROUP):
        if entry.name == name:
            part = entry.load()
            if not isinstance(part, SinkPart) or part.pictures:
                raise ConfigError(f"entry point {name} of {GROUP} is {part!r:.60}, expected a SinkPart")
            return part
    raise ConfigError(f"unknown key output.{name:.60}; [output] has {names(SINKS)} and {', '.join(_COMMON)}")


_COMMON = [key for key in OutputConfig.__dataclass_fields__ if key not in NOT_SET]

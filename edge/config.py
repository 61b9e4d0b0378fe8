"""Settings: one frozen dataclass a table, with unit, bounds and one line of help beside each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any


def setting(
    default: Any, help: str, unit: str = "", low: float = -inf, high: float = inf, empty: str = ""
) -> Any:
    """A field; ``low`` and ``high`` bound a number, ``empty`` says what an empty value means."""
    about = {"help": help, "unit": unit, "low": low, "high": high, "empty": empty}
    return field(default=default, metadata=about)


def bounds(metadata: Mapping[str, Any]) -> str:
    """``1 to 16,384``, of a field that is a number; "" where it has no bounds."""
    low, high = metadata["low"], metadata["high"]
    return "" if low == -inf else f"{low:,.10g} to {high:,.10g}"


@dataclass(frozen=True)
class SourceConfig:
    """Where frames come from."""

    address: str = setting("demo", "camera, file or folder")
    width: int | None = setting(None, "asked of a camera", "pixels", 1, 16384, "the camera's choice")
    height: int | None = setting(None, "asked of a camera", "pixels", 1, 16384, "the camera's choice")
    color: bool = setting(False, "color from a camera that could give luma alone")
    draw: bool = setting(False, "a color picture to draw on; set by itself where a clip is written")
    fps: float | None = setting(
        None, "asked of a camera; given to a folder of images", "frames/s", 0.01, 1000, "its own, or 10"
    )


@dataclass(frozen=True)
class DetectorConfig:
    """How faces are found."""

    kind: str = setting("auto", "auto, or a detector by name")
    model: str = setting("", "path of a YuNet file", empty="the bundle's, else the fetched one")
    input_width: int = setting(
        480, "width to which the frame is shrunk; less while faces are large", "pixels", 32, 4096
    )
    # Backs of heads and profiles reach 0.75, faces begin at 0.82.
    score_threshold: float = setting(0.8, "score from which a face begins a track", "", 0, 1)
    keep_threshold: float = setting(0.6, "score from which a face continues a track", "", 0, 1)
    every: int = setting(
        3, "from one detection to the next while every track has its face", "frames", 1, 1000
    )


@dataclass(frozen=True)
class TrackerConfig:
    """Which face is which over time."""

    iou_threshold: float = setting(0.3, "least overlap of a face with its expected place", "", 0, 1)
    lost_s: float = setting(0.8, "how long a track waits for its face to come back", "s", 0, 3600)
    confirm: int = setting(2, "detections before a face becomes a track", "", 1, 100)


@dataclass(frozen=True)
class BundleConfig:
    """Which network runs."""

    path: str = setting("", "folder of a bundle", empty="the reference bundle that ships")
    precision: str = setting("auto", "auto (what `check` measured to be fastest, else fp32), or one by name")
    threads: int = setting(
        1, "of ONNX Runtime where the precision is named; 0 takes all cores", "threads", 0, 256
    )


@dataclass(frozen=True)
class EngineConfig:
    """What runs the network."""

    kind: str = setting("auto", "auto (what `check` measured, else the best here), or a backend by name")
    faces: int = setting(8, "most faces in one step of a TensorRT engine; more take turns", "faces", 1, 64)
    folder: str = setting("", "where TensorRT engines are kept", empty="engines in the user's cache")


@dataclass(frozen=True)
class DecisionConfig:
    """When the answer is "uncertain"."""

    abstain_below: float | None = setting(
        None, "largest probability under which the label is uncertain", "", 0, 1, "the bundle's threshold"
    )
    min_face_px: float = setting(
        48.0, "side of the face square under which the label is uncertain", "pixels", 0, 16384
    )


@dataclass(frozen=True)
class RecoveryConfig:
    """How a camera that died is brought back."""

    stall_s: float = setting(2.0, "without a frame until the camera is opened again", "s", 0.1, 3600)
    longest_wait_s: float = setting(2.0, "between two attempts", "s", 0.01, 3600)
    child: bool = setting(True, "a capture process takes over where the camera's library hangs")
    reboot: bool = setting(False, "ask for a reboot where a restart did not mend a hanging driver")


@dataclass(frozen=True)
class BudgetConfig:
    """How much of the machine may be used; above a limit, less work is done."""

    cpu_percent: float | None = setting(
        None, "processor time; 200 is two cores", "% of one core", 1, 100_000, "no limit"
    )
    celsius: float | None = setting(80.0, "temperature of the hottest thermal zone", "°C", 0, 150)
    faces: int = setting(8, "faces a step: the largest first, the last place goes round", "faces", 2, 64)


@dataclass(frozen=True)
class OutputConfig:
    """What a run leaves. Every other key names an output: ``jsonl = "estimates.jsonl"``."""

    every_frame: bool = setting(False, "estimates of the frames between two steps, too")
    max_frames: int | None = setting(None, "stop after so many", "frames", 1, 10**9, "no limit")
    health: str = setting("", "figures of the run: a JSON file, or a port on 127.0.0.1", empty="none")
    pictures: bool = setting(False, "a service may write pictures and clips of what it sees")
    # Output by name -> its settings, as the table of outputs checks them when the run begins.
    sinks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class FileOutput:
    """The settings of an output that is one file: ``NAME = "PATH"`` in [output]."""

    path: str = setting("", "the file to write", empty="none")


@dataclass(frozen=True)
class Config:
    """All tables of the configuration file."""

    source: SourceConfig = field(default_factory=SourceConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    bundle: BundleConfig = field(default_factory=BundleConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    output: OutputConfig = field(default_factory=OutputConfig)

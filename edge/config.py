"""Settings: frozen dataclasses filled from a TOML file and ``--set table.key=value`` overrides."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCE_HELP = (
    "/dev/video0, /dev/v4l/by-id/NAME, a camera number, picam://0, csi://0, mjpeg:///dev/video0, "
    "rtsp://USER:PASSWORD@HOST/PATH, a video file, a folder of images, or demo"
)


@dataclass(frozen=True)
class SourceConfig:
    address: str = "demo"  # see SOURCE_HELP
    width: int | None = None  # pixels asked of a camera
    height: int | None = None
    colour: bool = False  # from a camera that could give luma alone
    draw: bool = False  # a picture in colour to draw on; set by itself where a clip is drawn
    fps: float | None = None  # frames per second asked of a camera; given to a folder of images


@dataclass(frozen=True)
class DetectorConfig:
    kind: str = "auto"  # auto, yunet, haar
    model: str = ""  # path of a YuNet file; empty: the bundle's, else the fetched one
    input_width: int = 480  # pixels to which the frame is shrunk for YuNet; fewer while faces are large
    score_threshold: float = 0.8  # backs of heads and profiles reach 0.75, faces begin at 0.82
    keep_threshold: float = 0.6  # from which YuNet's faces continue a track
    every: int = 3  # frames from one detection to the next while all tracks have their faces


@dataclass(frozen=True)
class TrackerConfig:
    iou_threshold: float = 0.3
    lost_s: float = 0.8  # seconds a track waits for its face to come back
    confirm: int = 2  # detections before a face counts


@dataclass(frozen=True)
class BundleConfig:
    path: str = ""  # folder; empty: the reference bundle that ships
    precision: str = "auto"  # auto: what `check` measured to be fastest here, else fp32
    threads: int = 1  # of ONNX Runtime where precision is given; 0 = all cores


@dataclass(frozen=True)
class EngineConfig:
    kind: str = "auto"  # auto: what `check` measured, else TensorRT where it runs, else ONNX Runtime
    faces: int = 8  # most faces in one step of a TensorRT engine; more take turns
    folder: str = ""  # where TensorRT engines are kept; empty: engines in the user's cache


@dataclass(frozen=True)
class DecisionConfig:
    abstain_below: float | None = None  # empty: the bundle's threshold
    min_face_px: float = 48.0  # a face square with a shorter side, in frame pixels, is "uncertain"


@dataclass(frozen=True)
class RecoveryConfig:
    stall_s: float = 2.0  # seconds without a frame until a camera is opened again
    longest_wait_s: float = 2.0  # between two attempts
    child: bool = True  # a capture process takes over where the camera's library hangs
    reboot: bool = False  # ask for a reboot where a restart did not mend a hanging driver


@dataclass(frozen=True)
class BudgetConfig:
    cpu_percent: float | None = None  # of one core, 200 is two; above it, less work is done
    celsius: float | None = 80.0  # of the hottest thermal zone; above it, too
    faces: int = 8  # faces a step; the largest first, the last place goes round


@dataclass(frozen=True)
class OutputConfig:
    jsonl: str = ""  # path, - for standard output
    annotate: str = ""  # path of an .mp4
    trajectory: str = ""  # path of a .png
    every_frame: bool = False  # JSON lines for frames between the steps, too
    max_frames: int | None = None
    health: str = ""  # path of a JSON file, best in /run, or a port on the loopback interface


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


# Smallest and largest value of what is not free; only values that are set are checked.
_BOUNDS: dict[str, tuple[float, float]] = {
    "source.width": (1, 16384),
    "source.height": (1, 16384),
    "source.fps": (0.01, 1000),
    "detector.input_width": (32, 4096),
    "detector.score_threshold": (0, 1),
    "detector.keep_threshold": (0, 1),
    "detector.every": (1, 1000),
    "tracker.iou_threshold": (0, 1),
    "tracker.lost_s": (0, 3600),
    "tracker.confirm": (1, 100),
    "bundle.threads": (0, 256),
    "engine.faces": (1, 64),
    "decision.abstain_below": (0, 1),
    "decision.min_face_px": (0, 16384),
    "recovery.stall_s": (0.1, 3600),
    "recovery.longest_wait_s": (0.01, 3600),
    "budget.cpu_percent": (1, 100_000),
    "budget.celsius": (0, 150),
    "budget.faces": (2, 64),
    "output.max_frames": (1, 2**31),
}


def load(path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Defaults, then the TOML file, then each ``table.key=value``; ConfigError names the key."""
    config = Config()
    for table, entries in (read_toml(path) if path else {}).items():
        if not isinstance(entries, dict):
            raise ConfigError(f"{path}: {table} stands outside a table; write it under [table]")
        for key, value in entries.items():
            config = _with(config, table, key, value)
    for text in overrides:
        name, equals, value = text.partition("=")
        table, dot, key = name.strip().partition(".")
        if not (equals and dot):
            raise ConfigError(f"--set {text!r} is not of the form table.key=value")
        config = _with(config, table, key, _parse(value))
    return config


def merge(config: Config, given: dict[str, dict[str, Any]]) -> Config:
    """``config`` with the values of ``given[table][key]`` that are neither None nor False."""
    for table, entries in given.items():
        for key, value in entries.items():
            if value is not None and value is not False:
                config = _with(config, table, key, value)
    return config


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; ConfigError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise ConfigError(f"{path} is no valid TOML: {error}") from error


def _parse(text: str) -> Any:
    """A TOML value where ``text`` is one, else the text itself, so that paths need no quotes."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return value if isinstance(value, str | int | float | list | dict) else text  # a date may be a file


def _with(config: Config, table: str, key: str, value: Any) -> Config:
    """``config`` with one value replaced, its type checked against the dataclass field."""
    tables = [entry.name for entry in fields(config)]
    if table not in tables:
        raise ConfigError(f"unknown table {table!r}; there are {', '.join(tables)}")
    section = getattr(config, table)
    hints = get_type_hints(type(section))
    if key not in hints:
        raise ConfigError(f"unknown key {table}.{key}; [{table}] has {', '.join(hints)}")
    allowed = get_args(hints[key]) if isinstance(hints[key], UnionType) else (hints[key],)
    if float in allowed and type(value) is int and abs(value) <= sys.float_info.max:
        value = float(value)
    if str in allowed and type(value) is int:
        value = str(value)  # a camera number
    if type(value) not in allowed:
        names = " or ".join(kind.__name__ for kind in allowed if kind is not type(None))
        raise ConfigError(f"{table}.{key} is {value!r} ({type(value).__name__}), expected {names}")
    low, high = _BOUNDS.get(f"{table}.{key}", (float("-inf"), float("inf")))
    if isinstance(value, int | float) and not low <= value <= high:
        raise ConfigError(f"{table}.{key} is {value}, expected {low:g} to {high:g}")
    changed: Config = replace(config, **{table: replace(section, **{key: value})})
    return changed

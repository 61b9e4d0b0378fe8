"""Settings: one frozen dataclass per table, with unit, bounds and one line of help beside each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any


def setting(
    default: Any,
    help: str,
    unit: str = "",
    low: float = -inf,
    high: float = inf,
    empty: str = "",
    choices: tuple[Any, ...] = (),
) -> Any:
    """A field; ``low`` and ``high`` bound a number, ``empty`` describes what an empty value means.

    Only ``choices`` are allowed if there are any, besides numbers within the bounds if there are bounds.
    """
    metadata = {"help": help, "unit": unit, "low": low, "high": high, "empty": empty, "choices": choices}
    return field(default=default, metadata=metadata)


def bounds(metadata: Mapping[str, Any]) -> str:
    """What a field allows, ``1 to 16,384`` or ``0, 50 or 60``, or "" if that is everything."""
    low, high = metadata["low"], metadata["high"]
    words = [str(choice) for choice in metadata.get("choices", ())]
    words += [] if low == -inf else [f"{low:,.10g} to {high:,.10g}"]
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


NOT_SET = ("most_pixels", "sinks", "settings_files")  # fields of [source] and [output] that are no keys
MEGAPIXELS = 64.0


@dataclass(frozen=True)
class SourceConfig:
    """Where frames come from."""

    address: str = setting("demo", "camera, file or folder")
    width: int | None = setting(None, "requested from a camera", "pixels", 1, 16384, "the camera's choice")
    height: int | None = setting(None, "requested from a camera", "pixels", 1, 16384, "the camera's choice")
    color: bool = setting(
        False, "color even from a camera that can deliver luma only; automatic if the network takes color"
    )
    draw: bool = setting(False, "a color picture to draw on; set automatically if a clip is written")
    fps: float | None = setting(
        None,
        "requested from a camera; rate of a folder of images, or of a video file without a clock",
        "frames/s", 0.01, 1000, "its own, or 10 for images",
    )  # fmt: skip
    rotate: int = setting(0, "clockwise turn of every frame", "degrees", choices=(0, 90, 180, 270))
    mirror: bool = setting(False, "exchange left and right, after the turn")
    exposure: float | str | None = setting(
        None, "of a camera; a longer one blurs", "ms", 0.01, 10_000, "the camera's own", choices=("auto",)
    )
    gain: float | None = setting(
        None, "of a camera: a factor, or a V4L2 driver's own number", "", 0, 1_000_000, "the camera's own"
    )
    mains_hz: int | None = setting(
        None, "against the flicker of lamps; 0 does nothing against it", "Hz",
        empty="the camera's own", choices=(0, 50, 60),
    )  # fmt: skip
    most_pixels: int = int(MEGAPIXELS * 1e6)  # of a frame; a run takes it from [limits]


@dataclass(frozen=True)
class DetectorConfig:
    """How faces are detected."""

    kind: str = setting("auto", "auto, or the name of a detector")
    model: str = setting("", "path of a YuNet file", empty="the bundle's, else the downloaded one")
    input_width: int = setting(
        480, "width the frame is downscaled to; less while faces are large", "pixels", 32, 4096
    )
    wide: bool = setting(
        True,
        "where decision.min_face_px shrinks to under 24 pixels, look for small faces in parts of the frame, "
        "too; a part takes as long as the whole, four in 3 s while somebody is followed, else every second "
        "look; off under load",
    )
    # Backs of heads and profiles score up to 0.75, faces from 0.82.
    score_threshold: float = setting(0.8, "minimum score of a face that starts a track", "", 0, 1)
    keep_threshold: float = setting(0.6, "minimum score of a face that continues a track", "", 0, 1)
    every: int = setting(3, "interval between detections while no track has lost its face", "frames", 1, 1000)


@dataclass(frozen=True)
class TrackerConfig:
    """How faces are followed over time."""

    iou_threshold: float = setting(0.3, "minimum overlap of a face with its predicted box", "", 0, 1)
    lost_s: float = setting(
        0.8, "how long a track survives without its face; longer if frames are seldom", "s", 0, 3600
    )
    confirm: int = setting(2, "detections before a face becomes a track", "", 1, 100)


@dataclass(frozen=True)
class BundleConfig:
    """Which network runs."""

    path: str = setting("", "folder of a bundle", empty="the reference bundle")
    precision: str = setting("auto", "auto (the fastest that was measured here, until then fp32), or a name")
    threads: int = setting(
        1, "for ONNX Runtime if the precision is not auto; 0 uses all cores", "threads", 0, 256
    )


@dataclass(frozen=True)
class EngineConfig:
    """What runs the network."""

    kind: str = setting(
        "auto", "auto (the fastest that was measured here, until then the best guess), or a name"
    )
    faces: int = setting(8, "maximum per step of a TensorRT engine; more take several steps", "faces", 1, 64)
    folder: str = setting("", "where TensorRT engines are stored", empty="engines in the user's cache")


@dataclass(frozen=True)
class DecisionConfig:
    """When the answer is "uncertain", and how long it holds."""

    abstain_below: float | None = setting(
        None, "top probability below which the label is uncertain", "", 0, 1, "the bundle's threshold"
    )
    min_face_px: float = setting(
        48.0, "side of the face square below which the label is uncertain", "pixels", 0, 16384
    )
    hold: bool = setting(True, "keep the label against single steps that say something else")
    check_face: bool = setting(True, "answer only while the crop shows a face")
    face_gone_s: float = setting(
        0.4, "how long a track may show no face before it ends; a blink is shorter", "s", 0, 3600
    )


@dataclass(frozen=True)
class RecoveryConfig:
    """How a failed camera is recovered."""

    stall_s: float = setting(2.0, "time without a frame before the camera is reopened", "s", 0.1, 3600)
    longest_wait_s: float = setting(2.0, "maximum wait between two attempts", "s", 0.01, 3600)
    child: bool = setting(True, "let a capture process take over if the camera's library hangs")
    reboot: bool = setting(False, "request a reboot if a restart did not fix a hung driver")


@dataclass(frozen=True)
class BudgetConfig:
    """How much of the machine may be used; above a limit, the run does less work."""

    cpu_percent: float | None = setting(
        None, "processor time; 200 is two cores", "% of one core", 1, 100_000, "no limit"
    )
    celsius: float | None = setting(80.0, "temperature of the hottest thermal zone", "°C", 0, 150)
    faces: int = setting(8, "maximum per step: the largest, and one of the rest in turn", "faces", 2, 64)


@dataclass(frozen=True)
class LimitsConfig:
    """How large a file or picture may be, and what a network may take when it is first loaded."""

    manifest_mb: float = setting(1.0, "manifest.json", "MB", 0.001, 64)
    evaluation_mb: float = setting(8.0, "evaluation.json", "MB", 0.001, 1024)
    file_mb: float = setting(64.0, "golden.npz, model card and its picture", "MB", 0.001, 4096)
    model_mb: float = setting(512.0, "an ONNX file", "MB", 0.001, 16384)
    load_mb: float | None = setting(
        None, "memory that a network may take when it is first loaded and tried", "MB", 16, 1_000_000,
        "by the sizes of file and face",
    )  # fmt: skip
    load_s: float = setting(120.0, "time for that", "s", 1, 86_400)
    picture_megapixels: float = setting(
        MEGAPIXELS, "a picture, a frame of a video or of a network camera", "megapixels", 0.01, 4096
    )

    @property
    def most_pixels(self) -> int:
        """``picture_megapixels`` in pixels."""
        return int(self.picture_megapixels * 1e6)


@dataclass(frozen=True)
class OutputConfig:
    """What a run writes. Every other key names an output: ``jsonl = "estimates.jsonl"``."""

    every_frame: bool = setting(False, "also write estimates for the frames between two steps")
    max_frames: int | None = setting(None, "stop after this many", "frames", 1, 10**9, "no limit")
    health: str = setting("", "health figures: a JSON file, or a port on 127.0.0.1", empty="none")
    summary: str = setting(
        "text", "what a run did, at its end: in the log, or on standard output", choices=("text", "json")
    )
    pictures: bool = setting(False, "allow a service to write pictures and clips")
    force: bool = setting(False, "replace files that emotion-edge did not write")
    # Output name -> its settings, which edge.sinks.outputs checks when the run starts.
    sinks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings_files: tuple[Path, ...] = ()  # that were read, and that no output may replace


@dataclass(frozen=True)
class FileOutput:
    """Settings of an output that is a single file: ``NAME = "PATH"`` in [output]."""

    path: str = setting("", "the file to write", empty="none")
    force: bool = setting(False, "replace a file that emotion-edge did not write")


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
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    output: OutputConfig = field(default_factory=OutputConfig)

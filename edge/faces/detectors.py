"""The table of face detectors, and the choice among them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.config import DetectorConfig
from edge.errors import BundleError, ConfigError
from edge.faces.fetch import YUNET_NAME, YUNET_SHA256, cached_detector
from edge.parts import Part, names
from edge.protocols import FaceDetector
from edge.system.hashing import sha256

log = logging.getLogger("edge")


@dataclass(frozen=True)
class DetectorPart(Part):
    """A face detector; ``load`` takes its settings and the path of a YuNet file, if there is one."""

    # The least score of a face that begins a track; one that scores less may only continue one.
    starts_tracks_at: Callable[[DetectorConfig], float] = lambda _: 0.0


def _yunet(settings: DetectorConfig, model: Path | None) -> FaceDetector:
    from edge.faces.yunet import YuNetDetector

    if model is None:
        raise BundleError("no YuNet file found; run `emotion-edge fetch` once, or set detector.model")
    return YuNetDetector(model, settings.input_width, settings.score_threshold, settings.keep_threshold)


def _haar(settings: DetectorConfig, model: Path | None) -> FaceDetector:
    from edge.faces.haar import HaarDetector

    return HaarDetector()


DETECTORS: tuple[DetectorPart, ...] = (
    DetectorPart(
        "yunet", _yunet, DetectorConfig, "a file of 233 kB: `emotion-edge fetch`",
        "faces from 24 pixels, turned heads, five landmarks", lambda settings: settings.score_threshold,
    ),
    DetectorPart(
        "haar", _haar, DetectorConfig, "OpenCV 4", "upright frontal faces where no file can be had"
    ),
)  # fmt: skip


def choose(settings: DetectorConfig, folder: Path) -> tuple[DetectorPart, Path | None]:
    """The detector of ``detector.kind`` and the YuNet file that it may use.

    That file is ``detector.model``, else the one in the bundle's ``folder``, else the fetched one; without
    one, ``auto`` takes Haar. ConfigError for a kind that is not there, BundleError for another file.
    """
    table = {part.name: part for part in DETECTORS}
    kind = settings.kind
    if kind not in ("auto", *table):
        raise ConfigError(f"detector.kind is {kind!r}, expected auto, {names(DETECTORS)}")
    model = _model(settings, folder)
    if kind != "auto":
        return table[kind], model
    if model is None:
        log.warning(
            "no YuNet file found: the Haar cascade stands in, with fewer faces and more false ones; "
            "run `emotion-edge fetch` once, or set detector.model"
        )
    return table["yunet" if model else "haar"], model


def _model(settings: DetectorConfig, folder: Path) -> Path | None:
    if settings.model:
        return Path(settings.model)
    inside = folder / YUNET_NAME
    if not inside.is_file():
        return cached_detector()
    if sha256(inside) != YUNET_SHA256:  # no file of a bundle is parsed before
        raise BundleError(f"{inside} is another file than YuNet's; remove it, or name it as detector.model")
    return inside

"""The table of face detectors, and the choice of one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.config import DetectorConfig
from edge.errors import BundleError, ConfigError
from edge.faces.fetch import YUNET_BYTES, YUNET_NAME, YUNET_SHA256, cached_detector
from edge.parts import Part, names
from edge.protocols import FaceDetector
from edge.system.checked_file import FileRefused, hash_checked

log = logging.getLogger("edge")


@dataclass(frozen=True)
class DetectorPart(Part):
    """A face detector; ``load`` takes its settings and the path of a YuNet file or None."""

    # Minimum score of a face that starts a track; a lower one may only continue a track.
    starts_tracks_at: Callable[[DetectorConfig], float] = lambda _: 0.0
    takes_parts: bool = False  # whether it can look at a part of the frame, see edge.data.Fine


def _yunet(settings: DetectorConfig, model: Path | None) -> FaceDetector:
    from edge.faces.yunet import YuNetDetector

    if model is None:
        raise BundleError("no YuNet file found; run `emotion-edge fetch` once, or set detector.model")
    pinned = "" if settings.model else YUNET_SHA256
    return YuNetDetector(
        model, settings.input_width, settings.score_threshold, settings.keep_threshold, pinned
    )


def _haar(settings: DetectorConfig, model: Path | None) -> FaceDetector:
    from edge.faces.haar import HaarDetector

    return HaarDetector()


DETECTORS: tuple[DetectorPart, ...] = (
    DetectorPart(
        "yunet", _yunet, DetectorConfig, "a file of 233 kB: `emotion-edge fetch`",
        "faces from 24 pixels, turned heads, five landmarks", lambda settings: settings.score_threshold,
        takes_parts=True,
    ),
    DetectorPart(
        "haar", _haar, DetectorConfig, "OpenCV 4", "upright frontal faces where no file can be had"
    ),
)  # fmt: skip


def choose(settings: DetectorConfig, folder: Path) -> tuple[DetectorPart, Path | None]:
    """The detector for ``detector.kind``, and the YuNet file for it or None.

    That file is ``detector.model``, else the one in the bundle's ``folder``, else the downloaded one. Without
    one, ``auto`` means Haar. ConfigError for an unknown kind, BundleError for a wrong file in the bundle.
    """
    table = {part.name: part for part in DETECTORS}
    kind = settings.kind
    if kind not in ("auto", *table):
        raise ConfigError(f"detector.kind is {kind!r}, expected auto, {names(DETECTORS)}")
    model = model_for(settings, folder)
    if kind != "auto":
        return table[kind], model
    if model is None:
        log.warning(
            "no YuNet file found: using the Haar cascade, which finds fewer faces and more false ones; "
            "run `emotion-edge fetch` once, or set detector.model"
        )
    return table["yunet" if model else "haar"], model


def model_for(settings: DetectorConfig, folder: Path) -> Path | None:
    """The YuNet file of ``choose``, without a word if there is none; BundleError for a wrong one."""
    if settings.model:
        return Path(settings.model)
    inside = folder / YUNET_NAME
    if not os.path.lexists(inside):
        return cached_detector()
    try:
        wrong = hash_checked(inside, YUNET_BYTES) != YUNET_SHA256
    except FileRefused as error:
        raise BundleError(f"{inside} {error}; remove it") from error
    if wrong:  # no file of a bundle is parsed before its hash is checked
        raise BundleError(f"{inside} is not the YuNet file; remove it, or set detector.model to it")
    return inside

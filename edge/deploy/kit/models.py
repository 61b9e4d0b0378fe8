"""The networks of a kit: the bundle, checked and with its license, and the face detector."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from edge import bundle
from edge.config import Config
from edge.deploy.kit.packaged import HOME
from edge.engines.backends import BACKENDS
from edge.errors import BundleError, ConfigError
from edge.faces.detectors import DETECTORS, model_for
from edge.faces.fetch import YUNET_BYTES, YUNET_NAME, YUNET_SHA256
from edge.system.checked_file import FileRefused, read_checked

DETECTOR = f"{HOME}/models/{YUNET_NAME}"
YUNET_LICENSE = "MIT"  # of the OpenCV Zoo's face_detection_yunet
_RESEARCH = re.compile(r"research|non-?commercial|demonstration only|\bNC\b", re.IGNORECASE)
_MOST_BYTES = 1 << 34  # the bundle's own limits were judged before


@dataclass(frozen=True)
class Models:
    """What the board runs."""

    bundle: bundle.Bundle
    files: dict[str, bytes]  # path below the board's root -> content

    @property
    def reference(self) -> bool:
        """Whether it is the bundle that comes with the program."""
        return self.bundle.folder == bundle.REFERENCE

    @property
    def folder(self) -> str:
        """Where a bundle of the user's lies on the board, "" for the reference."""
        return "" if self.reference else f"/{HOME}/models/{_plain(self.bundle.manifest.name)}"


def gather(config: Config, folder: Path | None, detector: Path | None, accepted: bool) -> Models:
    """The bundle in ``folder`` and the detector's file, every hash checked.

    Without names here, they are what the settings name, else the reference and the file that ``fetch`` got.
    BundleError for what was altered or is missing; ConfigError for a part that is unknown, and for weights
    that are for research only, unless that was ``accepted``.
    """
    if folder is None and config.bundle.path:
        folder = Path(config.bundle.path)
    found = bundle.load(folder, limits=config.limits)
    _refuse_unknown(config, found)
    terms = found.manifest.license
    if _RESEARCH.search(terms) and not accepted:
        raise ConfigError(
            f"the weights of {found.folder} are for {terms:.120}; "
            "take a bundle of your own, or pass --accept-research-weights if the kiosk is for that"
        )
    files = {DETECTOR: _detector(config, found, detector)} if config.detector.kind != "haar" else {}
    models = Models(found, files)
    if models.folder:
        for path in sorted(found.folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                models.files[f"{models.folder[1:]}/{path.name}"] = _read(path)
    return models


def _refuse_unknown(config: Config, found: bundle.Bundle) -> None:
    """ConfigError for a name that the board would refuse, whatever machine it is."""
    for key, given, parts in (
        ("detector.kind", config.detector.kind, DETECTORS),
        ("engine.kind", config.engine.kind, BACKENDS),
    ):
        known = ("auto", *(part.name for part in parts))
        if given not in known:
            raise ConfigError(f"{key} is {given!r:.60}, expected one of {', '.join(known)}")
    if config.bundle.precision != "auto":
        found.model(config.bundle.precision)


def _detector(config: Config, found: bundle.Bundle, named: Path | None) -> bytes:
    settings = config.detector
    if settings.model == f"/{DETECTOR}":  # settings that a kit had written
        settings = replace(settings, model="")
    path = named or model_for(settings, found.folder)
    if path is None:
        raise BundleError(
            "no face detector is there; run `emotion-edge fetch` once, or name it with --detector"
        )
    content = _read(path)
    if len(content) != YUNET_BYTES or hashlib.sha256(content).hexdigest() != YUNET_SHA256:
        raise BundleError(f"{path} is not the YuNet file {YUNET_NAME}; run `emotion-edge fetch`")
    return content


def _read(path: Path) -> bytes:
    try:
        return read_checked(path, _MOST_BYTES, follow=True)
    except FileRefused as error:
        raise BundleError(f"{path} {error}; copy it again") from error


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "bundle"

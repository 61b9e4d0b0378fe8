"""How accuracy falls as a picture gets worse: one curve per fault of a camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration import degrade
from edge.bundle import Bundle
from edge.data import Face, Frame
from edge.faces.crop import crop_faces
from edge.faces.square import square
from edge.manifest import FaceInput
from edge.protocols import Engine
from export.metrics.accuracy import still_logits

Image = npt.NDArray[np.uint8]
Fault = Callable[[Image, float, np.random.Generator], Image]


def _occlude(image: Image, share: float, rng: np.random.Generator) -> Image:
    x, y = rng.uniform(0, 1 - share, 2)
    return degrade.occlude(image, (x, y, x + share, y + share), int(rng.integers(0, 256)))


def _seen_at(image: Image, side: float, _: np.random.Generator) -> Image:
    """A face as the runtime crops it where it fills ``side`` pixels of the frame."""
    size, shrinks = (round(side),) * 2, side < len(image)
    frame = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    face = Face(square(side / 2, side / 2, side), score=1.0)
    return crop_faces(Frame(frame, 0.0, 0), [face], FaceInput(len(image), 1, "none"))[0]


FAULTS: Mapping[str, tuple[str, tuple[float, ...], Fault]] = {
    "blur": ("sigma, pixels", (0, 0.5, 1, 1.5, 2, 3), lambda i, v, _: degrade.blur(i, v) if v else i),
    "noise": ("sigma, grey levels", (0, 5, 10, 20, 30, 40), lambda i, v, rng: degrade.noise(i, v, rng)),
    "darkness": ("gamma", (1, 1.5, 2, 3, 4), lambda i, v, _: degrade.light(i, v, (0, 0))),
    "rotation": ("degrees", (0, 10, 20, 30, 45), lambda i, v, _: degrade.warp(i, v, 1, (0, 0))),
    "narrowing, as by turning away": (
        "share of the width left",
        (1, 0.9, 0.8, 0.7, 0.6),
        lambda i, v, _: degrade.warp(i, 0, 1, (0, 0), narrow=v),
    ),
    "face size": ("pixels in the frame", (200, 100, 64, 48, 40, 32, 24, 16), _seen_at),
    "occlusion": ("share of the side", (0, 0.2, 0.3, 0.4, 0.5), _occlude),
    "crop": (
        "shift, share of the side",
        (0, 0.05, 0.1, 0.15, 0.2),
        lambda i, v, _: degrade.warp(i, 0, 1, (v, 0)),
    ),
    "compression": ("JPEG quality", (100, 50, 25, 10, 5), lambda i, v, _: degrade.compress(i, int(v))),
}


def curves(
    engines: Mapping[str, Engine], bundle: Bundle, images: Image, labels: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Accuracy of each engine on stills (N,S,S) with labels (N,) under each fault at each strength.

    Faces of a web set hold 48 pixels: larger ones are scaled up, and show how the crop handles size.
    """
    measured = {}
    for name, (unit, levels, fault) in FAULTS.items():
        shares: dict[str, list[float]] = {precision: [] for precision in engines}
        for level in levels:
            rng = np.random.default_rng(5)
            worse = np.stack([fault(image, level, rng) for image in images])
            for precision, engine in engines.items():
                answer = still_logits(engine, bundle, worse, steps=1)[:, -1].argmax(axis=-1)
                shares[precision].append(round(float((answer == labels).mean()), 4))
        measured[name] = {"unit": unit, "levels": list(levels), "accuracy": shares}
    return measured

"""Pictures without a face: drawn surfaces, and pieces of photographs that packages ship.

Each function takes a size and a generator and returns gray uint8. Photographs are split by name into three
parts, so that what a check learns from is not what it is chosen or judged on.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.picture_files import read_picture
from edge.config import SourceConfig
from edge.errors import DependencyError

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# Of scikit-image's folder, nothing that shows a person.
PHOTOGRAPHS = {
    "training": ("coffee.png", "brick.png", "coins.png", "page.png", "ihc.png", "cell.png"),
    "development": ("horse.png", "grass.png", "retina.jpg", "text.png", "rocket.jpg", "color.png"),
    "judging": ("chelsea.png", "gravel.png", "motorcycle_left.png", "hubble_deep_field.jpg", "moon.png"),
}


@cache
def photographs(part: str) -> tuple[Uint8, ...]:
    """Gray photographs of a part, at most 640 pixels wide; DependencyError without scikit-image."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise DependencyError(
            "the photographs behind generated faces are in scikit-image, which is not installed; "
            "pip install 'emotion-edge[demo]'"
        )
    folder = Path(found.submodule_search_locations[0]) / "data"
    read = (read_picture(folder / name, SourceConfig.most_pixels) for name in PHOTOGRAPHS[part])
    return tuple(_at_most(np.asarray(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), np.uint8), 640) for one in read)


def _at_most(picture: Uint8, width: int) -> Uint8:
    share = width / picture.shape[1]
    if share >= 1:
        return picture
    size = (width, round(picture.shape[0] * share))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def smooth_noise(height: int, width: int, rng: np.random.Generator, across: float, down: float) -> Float32:
    """Noise (height,width) around 0, about ±1, whose grains are ``across`` x ``down`` pixels."""
    coarse = (max(round(height / down), 2), max(round(width / across), 2))
    grain = rng.standard_normal(coarse).astype(np.float32)
    return np.asarray(cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def cloth(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Woven stuff with folds."""
    fold = smooth_noise(height, width, rng, width / rng.uniform(2, 6), height / rng.uniform(1, 3))
    weave = smooth_noise(height, width, rng, 1.5, 1.5)
    return _levels(rng.uniform(30, 210) + rng.uniform(12, 35) * fold + rng.uniform(1, 8) * weave)


def hair(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Strands from top to bottom, bent, with a shine."""
    strands = smooth_noise(height, width, rng, max(width / 60, 1.2), height / rng.uniform(1.5, 4))
    shine = smooth_noise(height, width, rng, width / 2.5, height / 2.5)
    bend = rng.uniform(-0.4, 0.4) * np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2 * width / 4
    x = np.arange(width, dtype=np.float32)[None, :] + bend
    y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    bent = cv2.remap(
        strands,
        x.astype(np.float32),
        np.ascontiguousarray(y),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return _levels(rng.uniform(18, 120) * (1 + 0.22 * np.asarray(bent) + 0.25 * shine))


def skin(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Soft shading with hardly any grain, as of the back of a hand."""
    shade = smooth_noise(height, width, rng, width / 2, height / 2)
    pores = smooth_noise(height, width, rng, 1.5, 1.5)
    return _levels(rng.uniform(70, 205) * (1 + 0.12 * shade) + rng.uniform(0.5, 3) * pores)


def wall(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """A wall in uneven light: almost plain."""
    light = smooth_noise(height, width, rng, width / 1.5, height / 1.5)
    return _levels(rng.uniform(40, 220) + rng.uniform(5, 25) * light + smooth_noise(height, width, rng, 2, 2))


def room(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Furniture, frames and windows: plain and shaded boxes before a wall."""
    out = wall(height, width, rng)
    for _ in range(int(rng.integers(4, 14))):
        w, h = (int(v) for v in rng.uniform(0.06, 0.5, 2) * (width, height))
        x, y = int(rng.uniform(-0.1, 1) * width), int(rng.uniform(-0.1, 1) * height)
        tone = int(rng.integers(10, 245))
        cv2.rectangle(out, (x, y), (x + w, y + h), tone, -1)
        if rng.random() < 0.5:
            edge = int(np.clip(tone + rng.choice((-50, 50)), 0, 255))
            cv2.rectangle(out, (x, y), (x + w, y + h), edge, max(1, width // 160))
    shade = 1 + 0.1 * smooth_noise(height, width, rng, width / 2, height / 2)
    return _levels(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 2.5))) * shade)


def leaves(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Light and dark patches of many sizes, as of trees, crowds far away or rubble."""
    total = sum(
        smooth_noise(height, width, rng, width / n, width / n) / (1 + k) ** 0.5
        for k, n in enumerate((3, 7, 15, 31))
    )
    return _levels(rng.uniform(60, 170) + rng.uniform(20, 45) * np.asarray(total))


def shapes(height: int, width: int, rng: np.random.Generator) -> Uint8:
    """Round things before a wall: balls, plates, lamps, sometimes two dark spots that resemble eyes."""
    out = wall(height, width, rng)
    for _ in range(int(rng.integers(1, 6))):
        at = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(0.05, 0.45) * width), int(rng.uniform(0.05, 0.45) * width))
        cv2.ellipse(out, at, axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(10, 245)), -1)
    return _levels(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 2.0))))


def photograph(height: int, width: int, rng: np.random.Generator, part: str) -> Uint8:
    """A piece of a photograph of the part, at any zoom."""
    pictures = photographs(part)
    picture = pictures[int(rng.integers(len(pictures)))]
    most = min(picture.shape[0] / height, picture.shape[1] / width)
    zoom = most * float(rng.uniform(0.25, 1)) if most > 1 else most
    h, w = max(int(height * zoom), 2), max(int(width * zoom), 2)
    top = int(rng.integers(0, picture.shape[0] - h + 1))
    left = int(rng.integers(0, picture.shape[1] - w + 1))
    piece = picture[top : top + h, left : left + w]
    if rng.random() < 0.5:
        piece = np.ascontiguousarray(piece[:, ::-1])
    how = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(piece, (width, height), interpolation=how), np.uint8)


_DRAWN = (cloth, wall, room, leaves, shapes)


def background(height: int, width: int, rng: np.random.Generator, part: str) -> Uint8:
    """Any of the above that may stand behind a face, two in five from photographs."""
    if rng.random() < 0.4:
        return photograph(height, width, rng, part)
    return _DRAWN[int(rng.integers(len(_DRAWN)))](height, width, rng)


def _levels(values: npt.ArrayLike) -> Uint8:
    return np.clip(np.asarray(values), 0, 255).astype(np.uint8)

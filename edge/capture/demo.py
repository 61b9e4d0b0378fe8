"""A virtual camera that shows two real photographs from PyPI packages: no camera and no download needed.

A smiling astronaut enters from the left, a second, calm person from the right, then the first one leaves. The
camera slowly pans and zooms, and the light changes. The timing is fixed, so tests can check it. Photographs:
Eileen Collins (NASA, public domain; in scikit-image), Grace Hopper (US Navy, public domain; in matplotlib).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.picture_files import read_picture
from edge.config import SourceConfig
from edge.data import Float32, Frame
from edge.errors import DependencyError, SourceError
from edge.system.closing import Closing

WIDTH, HEIGHT, FPS = 640, 480, 15.0
FACE_PX = 130.0  # side of a face square in the scene
SLIDE_S = 1.2  # seconds to slide from outside the picture into place
_MARGIN = 30  # scene pixels around the picture, so that pan and zoom never reveal an edge


@dataclass(frozen=True)
class Actor:
    """One photograph and its path through the scene."""

    name: str
    package: str
    file: str
    face: tuple[float, float, float]  # center x, y and side of the face square in the photograph
    place: tuple[float, float]  # face center in the scene
    side: int  # -1 enters from the left, +1 from the right
    arrives_s: float  # seconds, when it starts to slide in
    departs_s: float  # seconds, when it starts to slide out
    expression: str  # one of the bundle's labels

    def center(self, time_s: float) -> tuple[float, float]:
        """Center of its face in the scene, in pixels."""
        outside = 1 - _ease((time_s - self.arrives_s) / SLIDE_S) + _ease((time_s - self.departs_s) / SLIDE_S)
        return self.place[0] + self.side * 420 * outside, self.place[1]


DURATION_S = 16.0
ACTORS = (
    Actor(
        "astronaut", "skimage", "data/astronaut.png", (223, 114, 115), (215, 215), -1, 0.8, 11.0, "happiness"
    ),
    Actor(
        "officer",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        (267, 215, 236),
        (435, 235),
        1,
        4.5,
        99.0,
        "neutral",
    ),
)


class DemoSource(Closing):
    """Frames (480,640,3) of the scene at 15 per second; raises DependencyError without the photographs."""

    live = False

    def __init__(self) -> None:
        self.frame_count: int | None = round(DURATION_S * FPS)
        self.fps = FPS
        self._cutouts = [cutout(actor) for actor in ACTORS]
        self._room = room()

    def frames(self) -> Iterator[Frame]:
        """Yield the whole scene once."""
        for index in range(self.frame_count or 0):
            yield Frame(self._picture(index / FPS), index / FPS, index)

    def _picture(self, time_s: float) -> npt.NDArray[np.uint8]:
        scene = self._room.copy()
        for actor, (photo, alpha) in zip(ACTORS, self._cutouts, strict=True):
            paste(scene, photo, alpha, actor.center(time_s))
        gain = 1.0 + 0.25 * math.sin(2 * math.pi * time_s / 6.0)
        moved = cv2.warpAffine(scene, camera(time_s), (WIDTH, HEIGHT))
        return np.asarray(np.clip(moved * gain, 0, 255), np.uint8)


def camera(time_s: float) -> npt.NDArray[np.float64]:
    """The (2,3) matrix from scene to picture, for pan and zoom."""
    zoom = 1.0 + 0.05 * math.sin(2 * math.pi * time_s / 8.0)
    pan_x, pan_y = 12 * math.sin(2 * math.pi * time_s / 9.0), 8 * math.sin(2 * math.pi * time_s / 7.0)
    x, y = WIDTH / 2, HEIGHT / 2
    return np.array(
        [[zoom, 0, x - zoom * (x + _MARGIN) + pan_x], [0, zoom, y - zoom * (y + _MARGIN) + pan_y]]
    )


def face_square(actor: Actor, time_s: float) -> tuple[float, float, float]:
    """Center x, y and side of the actor's face in the picture, in pixels; may lie outside of it."""
    x, y = actor.center(time_s)
    matrix = camera(time_s)
    x, y = matrix @ (x + _MARGIN, y + _MARGIN, 1)
    return float(x), float(y), float(FACE_PX * matrix[0, 0])


def visible(actor: Actor, time_s: float) -> bool:
    """Whether the actor's whole face square is inside the picture."""
    x, y, side = face_square(actor, time_s)
    half = side / 2
    return half <= x <= WIDTH - half and half <= y <= HEIGHT - half


def _ease(progress: float) -> float:
    """Smoothstep: 0 up to 0, 1 from 1, smooth in between."""
    progress = min(max(progress, 0.0), 1.0)
    return progress * progress * (3 - 2 * progress)


def _photograph(actor: Actor) -> npt.NDArray[np.uint8]:
    # Locate the packages without importing them: an import takes longer than the demo's first second.
    spec = importlib.util.find_spec(actor.package)
    path = Path(spec.origin).parent / actor.file if spec and spec.origin else None
    try:
        if path is None:
            raise SourceError("no such package")
        return read_picture(path, SourceConfig.most_pixels)
    except SourceError as error:
        raise DependencyError(
            f"the demo's photograph {actor.file} from the package {actor.package} is not installed "
            f"({error}); pip install 'emotion-edge[demo]', or use another source"
        ) from None


def cutout(actor: Actor) -> tuple[Float32, Float32]:
    """Head and shoulders with the face in the center: picture (H,W,3) and its soft mask (H,W,1) in 0..1."""
    x, y, side = actor.face
    scale = FACE_PX / side
    width, height = round(2.6 * FACE_PX), round(2.6 * FACE_PX)
    matrix = np.array([[scale, 0, width / 2 - scale * x], [0, scale, height / 2 - scale * y]])
    image = _photograph(actor)
    photo = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(image.shape[:2], np.float32), matrix, (width, height))
    oval = np.zeros((height, width), np.float32)
    cv2.ellipse(
        oval,
        (width // 2, round(height * 0.52)),
        (round(width * 0.40), round(height * 0.43)),
        0,
        0,
        360,
        1,
        -1,
    )
    alpha = cv2.GaussianBlur(oval * cv2.erode(inside, np.ones((9, 9))), (0, 0), 9)
    return photo.astype(np.float32), np.asarray(alpha, np.float32)[..., None]


def room() -> Float32:
    """A wall, a floor and a picture frame; nothing resembles a face."""
    height, width = HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN
    shade = np.linspace(150, 105, height, dtype=np.float32)[:, None, None]
    room = np.broadcast_to(shade * np.array([1.0, 0.97, 0.92], np.float32), (height, width, 3)).copy()
    cv2.rectangle(room, (0, height - 90), (width, height), (62, 78, 96), -1)
    cv2.rectangle(room, (300, 40), (420, 120), (70, 60, 50), 6)
    return room


def paste(scene: Float32, photo: Float32, alpha: Float32, center: tuple[float, float]) -> None:
    """Blend a cutout into the scene, centered at ``center``; parts outside are cropped."""
    height, width = alpha.shape[:2]
    left, top = round(center[0] + _MARGIN - width / 2), round(center[1] + _MARGIN - height / 2)
    x0, x1 = max(left, 0), min(left + width, scene.shape[1])
    y0, y1 = max(top, 0), min(top + height, scene.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    target = scene[y0:y1, x0:x1]
    target += alpha[inside] * (photo[inside] - target)

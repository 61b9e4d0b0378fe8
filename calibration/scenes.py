"""Whole frames with faces in known places: a background, heads pasted on shoulders, a camera that moves.

Heads are stills in the framing of the face square, so the truth is where the square was pasted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from calibration import textures

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
SIZE = (320, 240)  # of a video's frame, width and height
FPS = 25.0
_SPARE = 1.5  # the world is as much larger than a frame, so that the camera can move


@dataclass(frozen=True)
class Head:
    """A head to paste: ``picture`` and ``alpha`` (H,W), and where the face square (x, y, side) lies in it."""

    picture: Uint8
    alpha: Float32
    square: tuple[float, float, float]


def head(still: Uint8, side: int, rng: np.random.Generator) -> Head:
    """A still (S,S) as a head and a body, its face square ``side`` pixels wide.

    What lies around the square, hair and what was behind it, goes on as it is at the border of the still.
    """
    wide, high = round(2.0 * side), round(3.4 * side)
    x, y = (wide - side) // 2, round(0.3 * side)
    how = cv2.INTER_AREA if side < still.shape[0] else cv2.INTER_CUBIC
    face = cv2.resize(still, (side, side), interpolation=how)
    spread = cv2.copyMakeBorder(face, y, high - side - y, x, wide - side - x, cv2.BORDER_REPLICATE)
    soft = np.asarray(cv2.GaussianBlur(spread, (0, 0), side / 12), np.uint8)
    inner, edge = np.zeros((high, wide), np.float32), max(round(0.05 * side), 1)
    inner[y + edge : y + side - edge, x + edge : x + side - edge] = 1
    soft = _mix(soft, spread, np.asarray(cv2.GaussianBlur(inner, (0, 0), edge / 2)))
    middle = (x + side / 2, y + side / 2)
    skull, body = np.zeros((high, wide), np.float32), np.zeros((high, wide), np.float32)
    around = (round(0.56 * side), round(float(rng.uniform(0.66, 0.74)) * side))
    cv2.ellipse(
        skull, (round(middle[0]), round(middle[1] - 0.03 * side)), around, 0, 0, 360, 1.0, -1, cv2.LINE_AA
    )
    shoulders = (round(middle[0]), y + round(1.75 * side))
    cv2.ellipse(body, shoulders, (round(0.95 * side), round(0.72 * side)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    body[shoulders[1] :] = body[shoulders[1]]
    skull, body = (np.asarray(cv2.GaussianBlur(one, (0, 0), max(side / 50, 0.5))) for one in (skull, body))
    picture = _mix(soft, textures.cloth(high, wide, rng), body)
    return Head(picture, np.maximum(skull, body), (float(x), float(y), float(side)))


def _mix(below: Uint8, above: Uint8, alpha: Float32) -> Uint8:
    return (below + alpha * (above.astype(np.float32) - below)).astype(np.uint8)


def paste(frame: Uint8, one: Head, x: float, y: float) -> tuple[float, float, float, float]:
    """Paste a head so that its face square begins at (x, y); returns the square x0, y0, x1, y1."""
    left, top = round(x - one.square[0]), round(y - one.square[1])
    high, wide = one.alpha.shape
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + wide, frame.shape[1]), min(top + high, frame.shape[0])
    if x1 > x0 and y1 > y0:
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        frame[y0:y1, x0:x1] = _mix(frame[y0:y1, x0:x1], one.picture[part], one.alpha[part])
    corner = (left + one.square[0], top + one.square[1])
    return (*corner, corner[0] + one.square[2], corner[1] + one.square[2])


@dataclass
class Scene:
    """A place with one to three people and a camera; draws its frames one after the other."""

    world: Uint8
    heads: list[Head]
    places: Float32  # (n,2) corners of the face squares in the middle of the frame's view
    sway: Float32  # (n,3): how far each head moves, how fast, and from where
    pan: Float32  # (2,) pixels of the whole way
    shake: float  # pixels, one sigma a frame
    noise: float  # gray levels
    rng: np.random.Generator = field(repr=False)

    def frame(self, at: int, count: int, moved: float | None = None) -> tuple[Uint8, Float32]:
        """Frame ``at`` of ``count`` (H,W) uint8, and the face squares (n,4); ``moved`` (0..1): of the pan."""
        width, height = SIZE
        share = at / max(count - 1, 1) if moved is None else moved
        shift = self.pan * np.float32(share - 0.5) + self.rng.normal(0, self.shake, 2).astype(np.float32)
        left, top = (self.world.shape[1] - width) / 2, (self.world.shape[0] - height) / 2
        middle = (left + width / 2 - float(shift[0]) - 0.5, top + height / 2 - float(shift[1]) - 0.5)
        view = np.asarray(cv2.getRectSubPix(self.world, (width, height), middle), np.uint8)
        boxes = []
        for one, place, (far, fast, start) in zip(self.heads, self.places, self.sway, strict=True):
            x = place[0] + shift[0] + far * np.sin(fast * at / FPS + start)
            y = place[1] + shift[1] + 0.4 * far * np.sin(1.7 * fast * at / FPS + start)
            boxes.append(paste(view, one, float(x), float(y)))
        grain = self.rng.standard_normal(view.shape, np.float32) * np.float32(self.noise)
        return np.clip(view + grain, 0, 255).astype(np.uint8), np.array(boxes, np.float32).reshape(-1, 4)


def scene(
    images: Uint8,
    rng: np.random.Generator,
    part: str,
    like: Scene | None = None,
    same_place: bool = False,
    same_wall: bool = False,
    without: int | None = None,
) -> tuple[Scene, int]:
    """A scene and the index of its first person among ``images`` (N,S,S); the first is never ``without``.

    Where it is ``like`` another, its first face may be of the same size in the ``same_place``, as of a slide
    show of portraits, also before the ``same_wall``.
    """
    width, height = SIZE
    world_size = (round(_SPARE * height), round(_SPARE * width))
    world = like.world if like is not None and same_wall else textures.background(*world_size, rng, part)
    count = 1 if same_place or rng.random() < 0.6 else int(rng.integers(2, 4))
    heads, places, people = [], [], []
    for k in range(count):
        index = int(rng.integers(len(images)))
        while index == without or index in people:
            index = int(rng.integers(len(images)))
        people.append(index)
        side = int(rng.integers(56, 110 if count == 1 else 76))
        slot = width / count
        x = slot * k + (slot - side) / 2 + float(rng.uniform(-0.12, 0.12)) * slot
        y = float(rng.uniform(0.2, 0.45)) * (height - side)
        if k == 0 and like is not None and same_place:
            side = round(like.heads[0].square[2])
            x, y = (float(v) for v in like.places[0])
        heads.append(head(images[index], side, rng))
        places.append((x, y))
    still = rng.random() < 0.4
    made = Scene(
        world=world,
        heads=heads,
        places=np.array(places, np.float32),
        sway=np.stack(
            [rng.uniform(0, 9, count), rng.uniform(0.5, 3, count), rng.uniform(0, 6, count)], 1
        ).astype(np.float32),
        pan=np.zeros(2, np.float32) if still else rng.uniform(-40, 40, 2).astype(np.float32),
        shake=0.0 if still else float(rng.uniform(0, 1.2)),
        noise=float(rng.uniform(0.5, 6)),
        rng=rng,
    )
    return made, people[0]

"""A face that goes: it leaves the box, turns away, is covered, bows, or is lost in the dark or in blur.

A ``Loss`` is drawn once and then asked for a frame at every stage from 0 (the face as it is) to 1 (gone). It
also says what share of the face is to be seen, so that truth needs no eye.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration import textures
from calibration.degrade import warp

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
GONE, THERE = 0.15, 0.85  # share of the face up to which it is gone, and from which it is there


class Seen(NamedTuple):
    """A frame (S,S) and the share of the face that is seen in it, 0..1; 0.5 where nobody could say."""

    frame: Uint8
    share: float


Loss = Callable[[Uint8, float], Seen]


def leaves(side: int, rng: np.random.Generator, part: str) -> Loss:
    """The head moves out of the box, to any side but up; what was behind it is seen."""
    behind = textures.background(2 * side, 2 * side, rng, part)
    angle = float(rng.uniform(-0.2, np.pi + 0.2))
    way = np.array([np.cos(angle), np.sin(angle)])

    def at(face: Uint8, stage: float) -> Seen:
        shift = 1.35 * stage
        moved = warp(face, 0.0, 1.0, (float(shift * way[0]), float(shift * way[1])))
        mask = _moved_mask(side, shift * way, soft=min(4 * stage, 1))
        top, left = (round(side / 2 - 0.2 * shift * side * w) for w in (way[1], way[0]))
        return Seen(_over(behind[top : top + side, left : left + side], moved, mask), _rest(shift, 0.8))

    return at


def turns(side: int, rng: np.random.Generator, part: str) -> Loss:
    """The face narrows to a profile and goes to one side of the head, then hair alone is left."""
    behind, hair = textures.background(side, side, rng, part), textures.hair(side, side, rng)
    way = float(rng.choice((-1, 1)))
    head = _ellipse(side, (0.5, 0.47), (float(rng.uniform(0.44, 0.58)), float(rng.uniform(0.56, 0.7))))
    neck = _ellipse(side, (0.5, 1.1), (0.3, 0.3))
    back = _over(_over(behind, textures.skin(side, side, rng), neck), hair, head)

    def at(face: Uint8, stage: float) -> Seen:
        turned = min(stage / 0.8, 1)
        narrow = 1 - 0.7 * turned
        shift = (way * 0.55 * turned, 0.0)
        moved = warp(face, 0.0, 1.0, shift, narrow=narrow)
        x = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5 - shift[0]
        flat = np.clip((narrow / 2 - np.abs(x)) * 12 + 0.5, 0, 1)[None, :]
        mask = flat * (1 - min(3 * turned, 1)) + flat * head * min(3 * turned, 1)
        mask = mask * (1 if turned < 1 else 0)
        whole = min(6 * stage, 1)  # at first the still's own surroundings stay
        base = _over(face, back, np.full((side, side), whole, np.float32))
        return Seen(_over(base, moved, mask), _rest(turned, 0.85))

    return at


def covered(side: int, rng: np.random.Generator, part: str) -> Loss:
    """A hand, cloth or a thing moves before the face."""
    cover, alpha = _cover(side, rng, part)
    angle = float(rng.uniform(0, 2 * np.pi))
    way = np.array([np.cos(angle), np.sin(angle)])
    inner = _ellipse(side, (0.5, 0.55), (0.36, 0.4)) > 0.5

    def at(face: Uint8, stage: float) -> Seen:
        shift = (1 - stage) * 1.8 * way * side
        matrix = np.array([[1, 0, shift[0] - side / 4], [0, 1, shift[1] - side / 4]])
        seen, mask = (cv2.warpAffine(layer, matrix, (side, side)) for layer in (cover, alpha))
        share = 1 - float(np.asarray(mask)[inner].mean())
        return Seen(_over(face, np.asarray(seen, np.uint8), np.asarray(mask, np.float32)), share)

    return at


def _cover(side: int, rng: np.random.Generator, part: str) -> tuple[Uint8, Float32]:
    """Something to cover a face with and its alpha, both 1.5 sides wide."""
    wide = round(1.5 * side)
    kind = int(rng.integers(4))
    if kind == 0:  # one or two hands, fingers up
        return _hand(wide, rng)
    alpha = np.zeros((wide, wide), np.float32)
    if kind == 1:  # a sleeve or a scarf
        across = (
            (wide // 2, round(0.47 * wide)),
            (round(0.95 * wide), round(float(rng.uniform(0.72, 0.95)) * wide)),
        )
        cv2.ellipse(alpha, (across[0], across[1], float(rng.uniform(-30, 30))), 1.0, -1)
        picture = textures.cloth(wide, wide, rng)
    else:  # a book, a telephone, a camera, a sheet
        box = (
            (wide / 2, wide / 2),
            (float(rng.uniform(0.72, 0.95)) * wide, float(rng.uniform(0.75, 1)) * wide),
        )
        corners = cv2.boxPoints((box[0], box[1], float(rng.uniform(-15, 15))))
        cv2.fillPoly(alpha, [np.asarray(corners, np.int32)], 1.0)
        picture = textures.background(wide, wide, rng, part)
    return picture, np.asarray(cv2.GaussianBlur(alpha, (0, 0), wide / 90), np.float32)


def _hand(wide: int, rng: np.random.Generator) -> tuple[Uint8, Float32]:
    """The back of a hand or two: four fingers beside each other over a palm, darker between them."""
    picture = textures.skin(wide, wide, rng).astype(np.float32)
    alpha = np.zeros((wide, wide), np.float32)
    palm_top, width = round(0.55 * wide), float(rng.uniform(0.15, 0.19)) * wide
    count = 5 if width < 0.17 * wide else 4
    first = wide / 2 - width * (count - 1) / 2
    fan = float(rng.uniform(-0.05, 0.12))
    for k in range(count):
        x = first + k * width
        tip = (round(x + fan * (x - wide / 2)), round(float(rng.uniform(0.12, 0.22)) * wide))
        root = (round(x), palm_top + round(0.15 * wide))
        cv2.line(alpha, tip, root, 1.0, round(0.98 * width), cv2.LINE_AA)
        if k:
            between = (round(x - width / 2 + fan * (x - wide / 2)), round(0.2 * wide))
            cv2.line(picture, between, (round(x - width / 2), palm_top), float(rng.uniform(25, 70)), 1)
    cv2.ellipse(
        alpha, (wide // 2, round(0.75 * wide)), (round(0.42 * wide), round(0.3 * wide)), 0, 0, 360, 1.0, -1
    )
    turn = cv2.getRotationMatrix2D((wide / 2, wide / 2), float(rng.uniform(-35, 35)), 1.1)
    soft = cv2.GaussianBlur(picture, (0, 0), wide / 100)
    turned = cv2.warpAffine(soft, turn, (wide, wide), borderMode=cv2.BORDER_REFLECT)
    mask = cv2.GaussianBlur(cv2.warpAffine(alpha, turn, (wide, wide)), (0, 0), wide / 120)
    return np.clip(turned, 0, 255).astype(np.uint8), np.clip(mask, 0, 1).astype(np.float32)


def bows(side: int, rng: np.random.Generator, part: str) -> Loss:
    """The head bows: the face sinks and shrinks, the crown of the head takes its place."""
    behind, hair = textures.background(side, side, rng, part), textures.hair(side, side, rng)
    across, bald = float(rng.uniform(0.44, 0.55)), rng.random() < 0.2
    top = textures.skin(side, side, rng) if bald else hair

    def at(face: Uint8, stage: float) -> Seen:
        lower = 0.75 * stage  # the hairline sinks by this
        flat = max(1 - 0.6 * stage, 0.3)
        matrix = np.array([[1, 0, 0], [0, flat, lower * side]], np.float64)
        sunk = cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        y = (np.arange(side, dtype=np.float32)[:, None] + 0.5) / side
        line = lower + 0.12 * stage
        edge = np.clip((y - line) * 10 + 0.5, 0, 1) if stage else np.ones((side, 1), np.float32)
        crown = _ellipse(side, (0.5, 0.1 + 0.45 * stage), (across, 0.15 + 0.4 * stage))
        back = _over(_over(behind, sunk, np.ones((side, side), np.float32) * (y > 0.4)), top, crown)
        return Seen(
            _over(back, np.asarray(sunk, np.uint8), edge * np.ones((side, side), np.float32)),
            _rest(stage, 0.85),
        )

    return at


def dark(side: int, rng: np.random.Generator, part: str) -> Loss:
    """Light fades until the noise of the sensor is all that is left."""
    sigma, least = float(rng.uniform(0.6, 2.5)), float(rng.uniform(0, 0.008))
    grain = np.random.default_rng(int(rng.integers(2**31)))

    def at(face: Uint8, stage: float) -> Seen:
        gain = (1 - stage) ** 2 * (1 - least) + least
        noise = sigma * grain.standard_normal(face.shape, np.float32) * (stage > 0)
        share = 1.0 if gain > 0.35 else 0.0 if gain < 0.015 else 0.5
        return Seen(np.clip(face * gain + noise, 0, 255).astype(np.uint8), share)

    return at


def blurred(side: int, rng: np.random.Generator, part: str) -> Loss:
    """Focus is lost, or the head moves too fast, until only a blob is left."""
    most, length = float(rng.uniform(0.13, 0.2)), float(rng.uniform(0, 0.5))

    def at(face: Uint8, stage: float) -> Seen:
        sigma = most * side * stage
        if sigma < 0.3:
            return Seen(face, 1.0)
        along = sigma * (1 + length)
        soft = cv2.GaussianBlur(face, (0, 0), along, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE)
        share = 1.0 if sigma < 0.03 * side else 0.0 if sigma >= 0.12 * side else 0.5
        return Seen(np.asarray(soft, np.uint8), share)

    return at


LOSSES: dict[str, Callable[[int, np.random.Generator, str], Loss]] = {
    "leaves": leaves,
    "turns": turns,
    "covered": covered,
    "bows": bows,
    "dark": dark,
    "blurred": blurred,
}


def stages(steps: int, rng: np.random.Generator, longest_change: int = 4) -> npt.NDArray[np.float64]:
    """Stages (steps,) of a loss: up within 1 to 4 steps, gone with a little motion, and back."""
    rise, fall = (int(v) for v in rng.integers(1, longest_change + 1, 2))
    inner = np.maximum(1 - np.abs(rng.normal(0, 0.02, steps)), 0)
    up = np.minimum((np.arange(steps) + 1) / (rise + 1), 1)
    down = np.minimum((steps - np.arange(steps)) / (fall + 1), 1)
    return np.minimum(inner, np.minimum(up, down))


def _rest(moved: float, gone_at: float) -> float:
    """Share of a face that is left, by how far it has moved; none from ``gone_at`` on."""
    return float(np.clip(1 - moved / gone_at, 0, 1))


def _over(below: npt.ArrayLike, above: npt.ArrayLike, alpha: npt.NDArray[np.floating]) -> Uint8:
    lower, upper = np.asarray(below, np.float32), np.asarray(above, np.float32)
    return np.clip(lower + alpha * (upper - lower), 0, 255).astype(np.uint8)


def _ellipse(
    side: int, center: tuple[float, float], axes: tuple[float, float], soft: float = 12.0
) -> Float32:
    """A soft ellipse (side,side); center and half axes are shares of the side."""
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side
    radius = np.sqrt(((x - center[0]) / axes[0]) ** 2 + ((y - center[1]) / axes[1]) ** 2)
    return np.clip((1 - radius) * soft * min(axes) + 0.5, 0, 1).astype(np.float32)


def _moved_mask(side: int, shift: npt.NDArray[np.float64], soft: float) -> Float32:
    """The box, that becomes a head as ``soft`` goes to 1, moved by ``shift`` sides."""
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side
    inside = (np.abs(x - 0.5 - shift[0]) < 0.5) & (np.abs(y - 0.5 - shift[1]) < 0.5)
    head = _ellipse(side, (0.5 + float(shift[0]), 0.5 + float(shift[1])), (0.5, 0.62))
    return (inside * ((1 - soft) + soft * head)).astype(np.float32)

"""Videos in which the picture changes at once: cuts and cross-fades, and what only looks like one.

A flash, a step of the exposure, a quick pan or somebody who walks past the lens is no cut: the same people
are there before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration import textures
from calibration.scenes import FPS, SIZE, Scene, scene

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
ENDS = ("cut", "fade")  # kinds after which nobody is who they were
STAYS = ("flash", "exposure", "pan", "passer")
KINDS = ENDS + STAYS


@dataclass(frozen=True)
class Clip:
    """A video ``frames`` (T,H,W) uint8 luma at ``fps``, with the truth of each frame.

    ``share`` (T,) is what part of the picture is of the second scene: 0 before a cut, 1 after it. ``event``
    (T,) marks the frames of a flash, exposure step, pan or passer. ``boxes`` holds the face squares (n,4) of
    each frame, of the scene that dominates.
    """

    kind: str
    frames: Uint8
    share: npt.NDArray[np.float64]
    event: npt.NDArray[np.bool_]
    boxes: list[Float32]
    fps: float = FPS

    @property
    def changed_at(self) -> int | None:
        """The first frame that is all of the second scene; None where there is only one."""
        after = np.flatnonzero(self.share >= 1)
        return int(after[0]) if len(after) else None


def clip(kind: str, images: Uint8, rng: np.random.Generator, part: str, count: int = 75) -> Clip:
    """A video of ``count`` frames with one event of ``kind`` (see KINDS) near its middle.

    After six in ten cuts a face of the same size is in the same place, after two in ten before the same wall.
    """
    one, person = scene(images, rng, part)
    begin = int(rng.integers(count * 2 // 5, count // 2))
    share, event = np.zeros(count), np.zeros(count, bool)
    if kind in ENDS:
        place, wall = rng.random() < 0.6, rng.random() < 0.2
        other, _ = scene(images, rng, part, one, place, wall, person)
        length = 0 if kind == "cut" else int(rng.integers(round(0.3 * FPS), round(FPS) + 1))
        share = np.clip((np.arange(count) - begin + 1) / (length + 1), 0, 1)
        return _joined(kind, one, other, share, event)
    length = {
        "flash": 1 + int(rng.integers(3)),
        "exposure": 1 + int(rng.integers(6)),
        "pan": 6,
        "passer": 12,
    }[kind]
    event[begin : begin + length] = True
    moved = _pan(count, begin, length) if kind == "pan" else None
    if kind == "pan":
        one.pan = np.array([float(rng.choice((-110, 110))), float(rng.uniform(-30, 30))], np.float32)
    frames, boxes = [], []
    change = _Change(kind, rng, begin, length, part)
    for at in range(count):
        frame, box = one.frame(at, count, None if moved is None else float(moved[at]))
        frames.append(change(frame, at))
        boxes.append(box)
    return Clip(kind, np.stack(frames), share, event, boxes)


def _joined(
    kind: str, one: Scene, other: Scene, share: npt.NDArray[np.float64], event: npt.NDArray[np.bool_]
) -> Clip:
    frames, boxes = [], []
    for at, part in enumerate(share):
        (before, there), (after, then) = (each.frame(at, len(share)) for each in (one, other))
        frames.append(before if part <= 0 else after if part >= 1 else _blend(before, after, float(part)))
        boxes.append(then if part > 0.5 else there)
    return Clip(kind, np.stack(frames), share, event, boxes)


def _blend(before: Uint8, after: Uint8, share: float) -> Uint8:
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8)


def _pan(count: int, begin: int, length: int) -> npt.NDArray[np.float64]:
    """Share (count,) of a pan that is done within ``length`` frames."""
    x = np.clip((np.arange(count) - begin) / length, 0, 1)
    return x * x * (3 - 2 * x)


class _Change:
    """What an event does to the frames: called with each of them in turn."""

    def __init__(self, kind: str, rng: np.random.Generator, begin: int, length: int, part: str) -> None:
        self.kind, self.begin, self.length = kind, begin, length
        width, height = SIZE
        up = rng.random() < 0.5
        self.gain = float(rng.uniform(1.5, 2.4) if up else rng.uniform(0.35, 0.65))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        middle = rng.uniform(0.2, 0.8, 2) * (width, height)
        near = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (0.5 * width) ** 2)
        self.flash = float(rng.uniform(0.5, 2)) * (near if rng.random() < 0.5 else np.ones_like(near))
        self.decay = float(rng.uniform(0.3, 0.8))
        self.coat = textures.cloth(height, round(0.6 * width), rng)

    def __call__(self, frame: Uint8, at: int) -> Uint8:
        since = at - self.begin
        if since < 0:
            return frame
        if self.kind == "flash" and since < self.length:
            return _clipped(
                frame * (1 + self.flash * self.decay**since) + 25 * self.flash * self.decay**since
            )
        if self.kind == "exposure":
            done = min((since + 1) / self.length, 1)
            return _clipped(frame * self.gain**done)
        if self.kind == "passer" and since < self.length:
            wide = self.coat.shape[1]
            left = round(-wide + (SIZE[0] + wide) * (since + 0.5) / self.length)
            x0, x1 = max(left, 0), min(left + wide, SIZE[0])
            out = frame.copy()
            out[:, x0:x1] = self.coat[:, x0 - left : x1 - left]
            return out
        return frame


def _clipped(values: npt.NDArray[np.floating]) -> Uint8:
    return np.clip(values, 0, 255).astype(np.uint8)


def uncut(images: Uint8, rng: np.random.Generator, part: str, seconds: float) -> Iterator[Clip]:
    """Clips of 10 s without a cut, until there are ``seconds`` of them: to count false cuts in.

    Half of them hold an event of STAYS.
    """
    count = round(10 * FPS)
    for _ in range(round(seconds / 10)):
        if rng.random() < 0.5:
            yield clip(STAYS[int(rng.integers(len(STAYS)))], images, rng, part, count)
        else:
            one, _ = scene(images, rng, part)
            made = [one.frame(at, count) for at in range(count)]
            nothing = np.zeros(count)
            yield Clip("calm", np.stack([f for f, _ in made]), nothing, nothing > 0, [b for _, b in made])

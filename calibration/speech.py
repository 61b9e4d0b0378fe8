"""Talking faces from stills: the mouth of a still opens, closes and rounds at the rate of syllables.

People speak three to seven syllables a second, in phrases with pauses (Chandrasekaran et al., PLoS
Computational Biology 5, 2009: mouth openings move at 2 to 7 Hz). The expression of the still stays.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
SYLLABLES_HZ = (3.0, 7.0)
# Region of the mouth as shares of the face square (x0, y0, x1, y1): the corners lie at a height of 0.74.
REGION = (0.22, 0.58, 0.78, 0.99)
_LINE = (0.68, 0.82)  # where the line between the lips is looked for
_MOST_OPEN = 0.085  # of the side
_DARKER = 0.45  # the gap, of the line between the lips


class Mouth(NamedTuple):
    """How a mouth stands: ``opening`` -0.25 (lips pressed) to 1, ``spread`` -1 (rounded) to 1 (wide)."""

    opening: float
    spread: float


def talk(steps: int, step_hz: float, rng: np.random.Generator) -> list[Mouth]:
    """A mouth at each step: phrases of 0.6 to 3 s, pauses of 0.3 to 1.5 s, a new vowel at each syllable."""
    times = np.arange(steps) / step_hz
    opening, spread = np.zeros(steps), np.zeros(steps)
    now = float(rng.uniform(-1, 0.5))
    while now < times[-1] + 1 / step_hz:
        end, loud = now + float(rng.uniform(0.6, 3)), float(rng.uniform(0.5, 1))
        while now < end:
            length = 1 / float(rng.uniform(*SYLLABLES_HZ))
            inside = (times >= now) & (times < now + length)
            wave = np.sin(np.pi * (times[inside] - now) / length) ** 2
            pressed = 0.25 * float(rng.random() < 0.2)  # m, b, p
            opening[inside] = loud * float(rng.uniform(0.25, 1)) * wave - pressed * (1 - wave)
            spread[inside] = float(rng.uniform(-1, 1)) * loud * np.sqrt(wave)
            now += length
        now += float(rng.uniform(0.3, 1.5))
    return [Mouth(float(o), float(s)) for o, s in zip(opening, spread, strict=True)]


def lips_at(face: Image) -> float:
    """Height of the line between the lips, in pixels: the darkest row of the middle of the mouth."""
    side = face.shape[0]
    top, bottom = (round(share * side) for share in _LINE)
    rows = face[top:bottom, round(0.38 * side) : round(0.62 * side)].astype(np.float32).mean(axis=1)
    middle = (bottom - top - 1) / 2
    away = np.abs(np.arange(bottom - top) - middle) / max(middle, 1)
    return float(top + np.argmin(rows + 8 * away**2))  # of equally dark rows the one nearest to the middle


def move_mouth(face: Image, mouth: Mouth, lips: float | None = None) -> Image:
    """A gray face (S,S) with its mouth moved; outside of REGION no pixel changes.

    ``lips`` is the height of the line between the lips; None looks for it. A mouth of (0, 0) is the still.
    """
    side = face.shape[0]
    x0, y0, x1, y1 = (round(share * side) for share in REGION)
    line = (lips_at(face) if lips is None else lips) - y0
    y, x = np.mgrid[0 : y1 - y0, 0 : x1 - x0].astype(np.float32)
    middle, half = (x1 - x0 - 1) / 2, (x1 - x0) / 2
    # 1 in the middle, 0 at the edge of the region, so that no seam shows.
    fade_x = np.cos(np.clip((x - middle) / half, -1, 1) * np.pi / 2) ** 2
    below = np.clip((y1 - y0 - 1 - y) / max(y1 - y0 - 1 - line, 1), 0, 1)
    above = np.clip(y / max(line, 1), 0, 1)
    gap = _MOST_OPEN * side * mouth.opening
    lens = np.sqrt(np.clip(1 - ((x - middle) / (0.5 * half)) ** 2, 0, 1))  # the gap between the lips
    lower, upper = 0.75 * gap * np.maximum(lens, 0.35 * fade_x), 0.25 * gap * lens
    from_line = y - line
    from_y = np.where(
        from_line > 0,
        line + np.sign(from_line) * np.maximum(from_line - lower * np.minimum(2 * below, 1), 0),
        line + np.minimum(from_line + upper * np.minimum(2 * above, 1), 0),
    )
    from_y = np.where(fade_x > 0, from_y, y)
    wide = 1 - 0.18 * mouth.spread * fade_x * np.minimum(2 * below, 1) * np.minimum(2 * above, 1)
    from_x = middle + (x - middle) * wide
    region = np.ascontiguousarray(face[y0:y1, x0:x1])
    moved = cv2.remap(
        region,
        from_x.astype(np.float32),
        from_y.astype(np.float32),
        cv2.INTER_LINEAR,
        None,
        cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    inside = (from_line < lower) & (from_line > -upper) & (gap > 0)
    dark = inside * lens * np.minimum(gap / (0.05 * side), 1)
    moved *= 1 - _DARKER * cv2.GaussianBlur(dark.astype(np.float32), (0, 0), side / 80)
    out = face.copy()
    edge = (fade_x > 0.02) & (below > 0) & (above > 0)
    out[y0:y1, x0:x1] = np.where(edge, np.rint(moved), region)
    return out

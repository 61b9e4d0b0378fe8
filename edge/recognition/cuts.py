"""Whether the picture as a whole was replaced: a cut or a cross-fade, after which nobody is who they were.

A flash, a step of the exposure, a moving camera or somebody who walks past the lens is none. See Boreczky and
Rowe, "Comparison of video shot boundary detection techniques", SPIE 2664 (1996).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edge.data import Frame
from edge.recognition.thumbnails import (
    Thumbnail,
    correlation,
    explained,
    is_fade,
    kept,
    moved_correlation,
    thumbnail,
    unmoved,
)

_SAME = 0.9  # correlation of two frames which need no closer look
_CUT, _CUT_IN_MOTION = 0.18, 0.1  # share of kept blocks below which the picture was replaced
_DOUBT = 0.6  # share of kept blocks below which a calm picture may have been replaced before the same wall
_CALM = 0.8  # share of kept blocks without fast motion
_ALIKE = 0.6  # correlation of the ends of what is no fade, one of them moved
_FADED = 0.5  # share of kept blocks from end to end of a fade, in which the mixtures speak for it, too
_LIGHT = 0.8  # share of the variance that a change of the light explains
_BACK = 0.7  # share of unmoved blocks from which a picture is back as it was
_BRIGHTER = 25.0  # levels of the mean: a flash, or a cut to another light
_FLASH_S = 0.3
_FADES_S = (0.4, 0.8, 1.2)
_PARTS = (1.0, 0.75, 0.5, 0.25)  # of a fade: how long before its end a frame is looked at
_MOST = 256  # thumbnails of 1.3 s, and not more where time stands still
_LOOK_S = 0.2  # time between two looks for a fade

Verdict = Literal["same", "doubt", "unsure", "cut"]


@dataclass
class CutFinder:
    """Looks at every frame in turn; their times are in seconds, and may jump."""

    # Since the last cut, without those lit by a flash.
    _past: deque[tuple[float, Thumbnail]] = field(default_factory=lambda: deque(maxlen=_MOST))
    _flash_s: float | None = None  # time of the first frame of what may be a flash
    _calm: bool = True
    _looked_s: float = 0.0

    def look(self, frame: Frame) -> Verdict:
        """Whether this frame goes on with those before it.

        "unsure" while it may be lit by a flash; "doubt" where much has changed at once, but not all: then the
        faces themselves tell whether they are others.
        """
        now_s, picture = frame.timestamp_s, thumbnail(frame.image)
        in_flash = self._flash_s is not None  # then what was before it is kept, however slow the source is
        while len(self._past) > in_flash and not 0 <= now_s - self._past[0][0] <= 1.1 * _FADES_S[-1]:
            self._past.popleft()
        if not self._past:
            return self._go_on(now_s, picture)
        last = self._past[-1][1]
        if self._flash_s is not None:
            return self._in_flash(now_s, picture, last)
        change = self._change(last, picture)
        if change == "cut":
            if abs(float(picture.mean() - last.mean())) >= _BRIGHTER:
                self._flash_s = now_s
                return "unsure"
            return self._cut(now_s, picture)
        if self._is_faded(now_s, picture):
            return self._cut(now_s, picture)
        return self._go_on(now_s, picture, change)

    def _go_on(self, now_s: float, picture: Thumbnail, verdict: Verdict = "same") -> Verdict:
        self._past.append((now_s, picture))
        self._flash_s = None
        return verdict

    def _cut(self, now_s: float, picture: Thumbnail) -> Verdict:
        self._past.clear()
        self._looked_s, self._calm = now_s, True
        return self._go_on(now_s, picture, "cut")

    def _in_flash(self, now_s: float, picture: Thumbnail, before: Thumbnail) -> Verdict:
        assert self._flash_s is not None
        if unmoved(before, picture) >= _BACK:
            return self._go_on(now_s, picture)
        if 0 <= now_s - self._flash_s < _FLASH_S:
            return "unsure"
        self._calm = True  # the light changed, nothing moved
        if self._change(before, picture) == "cut":
            return self._cut(now_s, picture)
        return self._go_on(now_s, picture)

    def _change(self, before: Thumbnail, picture: Thumbnail) -> Verdict:
        calm, self._calm = self._calm, True
        if correlation(before, picture) >= _SAME:
            return "same"
        share = kept(before, picture)
        self._calm = share >= _CALM
        if share >= (_DOUBT if calm else _CUT_IN_MOTION):
            return "same"
        if min(explained(before, picture), explained(picture, before)) >= _LIGHT:
            return "same"
        # A flash that was too faint to be noticed may be over.
        earlier = [one for at, one in self._past if at >= self._past[-1][0] - _FLASH_S][:-1]
        if any(unmoved(one, picture) >= _BACK for one in earlier):
            return "same"
        return "doubt" if calm and share >= _CUT else "cut"

    def _is_faded(self, now_s: float, picture: Thumbnail) -> bool:
        if 0 <= now_s - self._looked_s < _LOOK_S:
            return False
        self._looked_s = now_s
        times = np.array([at for at, _ in self._past])
        for length_s in _FADES_S:
            if now_s - times[0] < 0.9 * length_s:
                return False
            places = [int(np.abs(times - (now_s - part * length_s)).argmin()) for part in _PARTS]
            begin, *between = (self._past[place][1] for place in places)
            enough = len({*places}) == len(places)
            # A move by a part of a cell makes mixtures, too, but then the whole is found again nearby.
            if not enough or moved_correlation(begin, picture) >= _ALIKE:
                continue
            if is_fade(begin, between, picture) and kept(begin, picture) < _FADED:
                return True
        return False

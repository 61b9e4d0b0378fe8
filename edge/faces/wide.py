"""In which turn the parts of a wide frame are looked at, and how small faces found there stay followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from edge.data import Fine, Float32, Frame, Search
from edge.faces.candidate import Known
from edge.faces.fine_looks import parts
from edge.faces.near import crop_around, whole_of
from edge.faces.tracker import Tracker

AGAIN_S = 3.0  # from the beginning of one pass over all parts to the next, while faces are followed
WHOLE_S = 1.0  # at most, between looks at the whole frame
WIDER_EVERY = 7  # looks at a small face, of which one is with its surroundings
# Of the time of a look at the whole frame, for looks around faces, which take turns in a crowd. With 1.0,
# looking took 1.5 times as long as without parts in 1080p with up to 12 faces, with 0.45 1.27 times.
_SHARE = 0.45
# Sides a face may have moved before it must be looked at. With 0.25, six faces that moved by two sides a
# second were held in 3 % fewer frames.
_MOVED = 0.15
# Sides, in pixels of the network's input, below which the whole frame may miss a face that is there; on luma,
# turned heads need more.
_SURE_PX, _SURE_LUMA_PX = 32, 64


@dataclass
class WideLooks:
    """Looks at one part of the frame at a time, where a face of ``smallest_px`` is too small in the whole.

    A small face, once found, is looked at by itself: that the whole frame misses it says nothing. Each
    seventh look at it starts anew, with its surroundings; what is no face in that ends as other tracks do.
    """

    input_width: int  # pixels, of the look at the whole frame
    smallest_px: float  # side in frame pixels
    _shape: tuple[int, ...] = ()
    _parts: list[Float32] = field(default_factory=list)
    _next: int = 0  # the part whose turn it is
    _was_part: bool = True  # the last look in its turn; a whole one comes first
    _pass_s: float = -inf  # when the pass over the parts began
    _whole_s: float = -inf

    def search(self, frame: Frame, tracker: Tracker, ahead: bool, again: bool) -> Search | None:
        """What this look is for; None if the same as without small faces. Tells ``tracker`` what it may miss.

        ``ahead``: whether to look for new small faces; ``again``: the look is out of its turn, because a face
        came or got lost.
        """
        self._see(frame.image.shape)
        tracker.sought = None
        if not self._parts:
            return None
        now = frame.timestamp_s
        known = tracker.known(now)
        urgent = [one for one in known if one.followed and _cannot_wait(one, now, tracker.lost_s)]
        small = [one for one in known if self._is_small(one)]
        if any(one.unsure and not self._is_small(one) for one in known):
            return self._whole(known, urgent, tracker, now) if small else None
        if again:
            return self._around([one for one in small if one.unsure], tracker)
        self._was_part = ahead and not self._was_part and self._is_due(now, bool(known))
        if self._was_part:
            return self._part(known, urgent, tracker, now)
        if not small:
            return None
        if not 0 <= now - self._whole_s < WHOLE_S:
            return self._whole(known, urgent, tracker, now)
        return self._around(self._affordable(known, urgent, now), tracker)

    def start_anew(self) -> None:
        """Let the next look be at the whole frame, as after a cut."""
        self._was_part, self._next, self._pass_s = True, 0, -inf

    def of_still(self, frame: Frame, found: Iterable[Float32]) -> list[Search]:
        """Looks at all parts of a photograph, in which the whole has shown the faces with boxes ``found``."""
        self._see(frame.image.shape)
        known = tuple(found)
        return [Search(fine=Fine(self.smallest_px, part=part, known=known)) for part in self._parts]

    def _see(self, shape: tuple[int, ...]) -> None:
        if shape != self._shape:
            self._shape, self._next, self._pass_s = shape, 0, -inf
            self._parts = parts(shape, self.smallest_px, self.input_width)

    def _is_small(self, one: Known) -> bool:
        sure = _SURE_LUMA_PX if len(self._shape) == 2 else _SURE_PX
        return one.side * self.input_width < sure * self._shape[1]

    def _is_due(self, now: float, followed: bool) -> bool:
        """Whether the next part is: at once while nobody is followed or during a pass."""
        return not followed or self._next > 0 or not 0 <= now - self._pass_s < AGAIN_S

    def _part(self, known: Sequence[Known], urgent: Sequence[Known], tracker: Tracker, now: float) -> Search:
        if self._next == 0:
            self._pass_s = now
        part, self._next = self._parts[self._next], (self._next + 1) % len(self._parts)
        old = tuple(one.expected for one in known if one.followed)
        return self._around(urgent, tracker, Fine(self.smallest_px, part=part, known=old))

    def _whole(self, known: Sequence[Known], urgent: Sequence[Known], tracker: Tracker, now: float) -> Search:
        self._whole_s = now
        also = [one for one in urgent if self._is_small(one)]
        search = self._around(also, tracker, Fine(self.smallest_px, whole=True))
        large = [one for one in known if not self._is_small(one)]
        tracker.sought = [one.box for one in (*also, *large)]
        return search

    def _around(self, faces: Sequence[Known], tracker: Tracker, more: Fine | None = None) -> Search:
        """A look at each of ``faces``, with its surroundings if it was lost or it is its turn."""
        tracker.sought = [one.box for one in faces]
        anew = [self._is_small(one) and _starts_anew(one) for one in faces]
        wider = tuple(one.expected for one, is_anew in zip(faces, anew, strict=True) if is_anew)
        near = tuple(one.expected for one, is_anew in zip(faces, anew, strict=True) if not is_anew)
        return Search(fine=replace(more or Fine(self.smallest_px), near=near, wider=wider))

    def _affordable(self, known: Sequence[Known], urgent: Sequence[Known], now: float) -> list[Known]:
        """Those that moved or were not seen for longest, for a share of a whole look, and all urgent ones."""
        left = _SHARE * whole_of(self._shape, self.input_width).cost
        chosen: list[Known] = []
        followed = [one for one in known if one.followed]
        for one in sorted(followed, key=lambda one: one.seen_s - now - one.moved):
            left -= crop_around(one.box, self._shape).cost
            if left >= 0 or not chosen or any(one is other for other in urgent):
                chosen.append(one)
        return chosen


def _starts_anew(one: Known) -> bool:
    return not one.visible or (one.track and one.hits % WIDER_EVERY == 0)


def _cannot_wait(one: Known, now: float, lost_s: float) -> bool:
    """Whether it might be lost before the next look but one."""
    return one.moved > _MOVED or not 0 <= 2 * (now - one.seen_s) < lost_s

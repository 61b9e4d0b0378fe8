"""What is on screen, on the frozen generated sets: each row of ``calibration.frozen_sets`` through a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration import cuts, empties, frozen_sets
from calibration.cuts import Clip
from calibration.frozen_sets import FrozenSet
from edge.data import UNCERTAIN, EmotionEstimate
from edge.faces.tracker import iou
from edge.session import Parts
from edge.system.progress import with_progress
from export.card.screen import truth_of, video, watch_crops, watch_frames
from export.metrics import on_screen
from export.metrics.intervals import clopper_pearson
from export.metrics.on_screen import BLINK_S, RULES, Watched, rate

Uint8 = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
ENDED_S = 0.2  # after a cut, within which everybody who was there before has to end
SAME = 0.4  # overlap from which an estimate is of the pasted face
_LOOKS = 50  # frames for which a crowd is held: two seconds


def figures(
    parts: Parts, which: FrozenSet, images: Uint8, labels: Labels, limit: int | None = None
) -> dict[str, Any]:
    """Figures of a frozen set, of stills (N,S,S) and labels (N,) of its part; ``limit``: its first films."""
    return _FIGURES[which.kind](parts, which, images, labels, limit)


def _films(
    parts: Parts, which: FrozenSet, images: Uint8, labels: Labels, limit: int | None
) -> dict[str, Any]:
    hz, wanted = parts.bundle.manifest.step_hz, truth_of(parts, labels)
    seen: list[Watched] = []
    truth, there, gone = [], [], []
    for at, film in enumerate(_some(frozen_sets.sequences(which, images, labels), which, limit)):
        seen.append(watch_crops(parts, film.crops, at))
        truth.append(wanted[film.still])
        there.append(film.clear & film.has_face)
        gone.append(film.gone)
    found: dict[str, Any] = {"films": len(seen), "kept": on_screen.kept(seen, there)}
    if which.kind != "faceless":
        found["steadiness"] = {rule: on_screen.steadiness(seen, rule, hz) for rule in RULES}
        found["answers"] = on_screen.rightness(seen, truth, there)
        found["true_changes"] = on_screen.changes_shown(seen, truth, there)
    if any(rows.any() for rows in gone):
        for name, blink_s in (("false_answers", 0.0), ("false_answers_after_a_blink", BLINK_S)):
            found[name] = {
                rule: on_screen.false_answers(seen, gone, rule, hz, blink_s) for rule in ("raw", "shown")
            }
    return found


def _cuts(parts: Parts, which: FrozenSet, images: Uint8, labels: Labels, limit: int | None) -> dict[str, Any]:
    """Of each kind: clips whose first face was followed, and those after which nobody kept their id."""
    ended: dict[str, list[bool]] = defaultdict(list)
    known = images[labels >= 0]
    for kind in cuts.KINDS:
        numbers = range(which.count if limit is None else min(limit, which.count))
        for number in with_progress(numbers, len(numbers), kind):
            clip = frozen_sets.clip_of(which, kind, number, known)
            seen = [estimates for _, estimates in watch_frames(parts, video(clip.frames, clip.fps))]
            verdict = _nobody_stayed(clip, seen) if kind in cuts.ENDS else _changed(clip, seen)
            if verdict is not None:
                ended[kind].append(verdict)
    return {
        kind: {
            "n": len(rows),
            "ended": sum(rows),
            "share": round(sum(rows) / len(rows), 4),
            "interval_95": clopper_pearson(sum(rows), len(rows)),
        }
        for kind, rows in ended.items()
        if rows
    }


def _nobody_stayed(clip: Clip, seen: Sequence[Sequence[EmotionEstimate]]) -> bool | None:
    """Whether no id of before a cut is seen ``ENDED_S`` after it; None where nobody was seen on one side."""
    assert clip.changed_at is not None
    before = {one.track_id for at in np.flatnonzero(clip.share == 0) for one in seen[at]}
    after = {one.track_id for estimates in seen[clip.changed_at :] for one in estimates}
    late = clip.changed_at + round(ENDED_S * clip.fps)
    staying = before & {one.track_id for estimates in seen[late:] for one in estimates}
    return not staying if before and after else None


def _changed(clip: Clip, seen: Sequence[Sequence[EmotionEstimate]]) -> bool | None:
    """Whether the first face has another id after the event than before; None where it was not seen."""
    during = np.flatnonzero(clip.event)
    if not len(during):
        during = np.array([len(seen) // 2])
    before = _id_at(clip, seen, range(during[0] - 1, max(during[0] - 6, -1), -1))
    after = _id_at(clip, seen, range(len(seen) - 1, during[-1] + 5, -1))
    return None if before is None or after is None else before != after


def _id_at(clip: Clip, seen: Sequence[Sequence[EmotionEstimate]], frames: Iterable[int]) -> int | None:
    """The id of the first face in the first of ``frames`` in which it is answered."""
    for at in frames:
        for one in seen[at]:
            if len(clip.boxes[at]) and iou(one.box_xyxy, clip.boxes[at][0]) >= SAME:
                return one.track_id
    return None


def _uncut(
    parts: Parts, which: FrozenSet, images: Uint8, labels: Labels, limit: int | None
) -> dict[str, Any]:
    """Clips without a cut in which the first face changed its id, an hour; half of them hold an event.

    Quick pans stand in ``by_kind`` alone: in six frames a face moves farther than a tracker can follow, so
    that most change their id without any rule about cuts.
    """
    rows: dict[str, list[bool]] = defaultdict(list)
    for clip in _some(frozen_sets.clips(which, images, labels), which, limit, 10):
        seen = [estimates for _, estimates in watch_frames(parts, video(clip.frames, clip.fps))]
        verdict = _changed(clip, seen)
        if verdict is not None:
            rows[clip.kind].append(verdict)
    fair = [verdict for kind, verdicts in rows.items() if kind != "pan" for verdict in verdicts]
    hours = len(fair) * 10 / 3600
    by_kind = {kind: {"n": len(all_of), "ended": sum(all_of)} for kind, all_of in sorted(rows.items())}
    return {**rate(sum(fair), hours), "by_kind": by_kind}


def _empty(
    parts: Parts, which: FrozenSet, images: Uint8, labels: Labels, limit: int | None
) -> dict[str, Any]:
    """Faces and answers in video without a face, through the run's own detector."""
    tracks = answers = steps = seconds = 0
    for pictures in _some(frozen_sets.empty(which, images, labels), which, limit, empties.SECONDS):
        seconds += empties.SECONDS
        said: dict[int, list[bool]] = defaultdict(list)
        for _, estimates in watch_frames(parts, video(pictures, empties.FPS)):
            for one in estimates:
                said[one.track_id].append(one.label not in (None, UNCERTAIN))
        tracks += len(said)
        steps += sum(sum(rows) for rows in said.values())
        answers += sum(
            sum(now and not then for then, now in zip([False, *rows], rows, strict=False))
            for rows in said.values()
        )
    hours = seconds / 3600
    return {"tracks": rate(tracks, hours), "answers": rate(answers, hours), "steps_answered": steps}


def _crowds(
    parts: Parts, which: FrozenSet, images: Uint8, labels: Labels, limit: int | None
) -> dict[str, Any]:
    """Faces found by the end of two seconds in which the frame stays, by their side in pixels."""
    found: dict[int, list[bool]] = defaultdict(list)
    spent_s = frames = extra = 0.0
    for crowd in _some(frozen_sets.frames(which, images, labels), which, limit):
        still = np.broadcast_to(crowd.frame, (_LOOKS, *crowd.frame.shape))
        began = time.perf_counter()
        _, last = watch_frames(parts, video(still, 25.0))[-1]
        spent_s, frames = spent_s + time.perf_counter() - began, frames + _LOOKS
        hits = [any(iou(one.box_xyxy, box) >= SAME for one in last) for box in crowd.boxes]
        extra += max(len(last) - sum(hits), 0)
        for box, hit in zip(crowd.boxes, hits, strict=True):
            found[round(float(box[2] - box[0]))].append(hit)
    large = [hit for side, rows in found.items() if side >= 48 for hit in rows]
    return {
        "by_side": {side: {"n": len(rows), "found": sum(rows)} for side, rows in sorted(found.items())},
        "from_48": round(sum(large) / len(large), 4) if large else None,
        "from_48_interval_95": clopper_pearson(sum(large), len(large)) if large else None,
        "boxes_without_a_face": int(extra),
        "ms_a_frame": round(1000 * spent_s / frames, 2),
    }


def _some(made: Iterable[Any], which: FrozenSet, limit: int | None, unit: int = 1) -> Iterable[Any]:
    """The first ``limit`` of ``made``, with progress; ``unit``: what one of them is of the set's count."""
    total = which.count // unit if limit is None else min(limit, which.count // unit)
    if which.kind == "faceless":
        total = 0 if limit is None else limit  # its films are as long as they happen to be
    return with_progress(islice(made, limit), total or None, which.name)


_Figures = Callable[[Parts, FrozenSet, Uint8, Labels, "int | None"], dict[str, Any]]
_FIGURES: dict[str, _Figures] = {
    "plain": _films,
    "talking": _films,
    "interrupted": _films,
    "faceless": _films,
    "cuts": _cuts,
    "uncut": _uncut,
    "empty": _empty,
    "crowds": _crowds,
}

"""What is on screen, on a folder of clips that nobody labeled."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import session
from edge.config import SourceConfig
from edge.data import EmotionEstimate
from edge.errors import EdgeError
from edge.session import Parts
from edge.system.progress import with_progress
from export.card.screen import by_track
from export.data.datasets import VIDEOS
from export.metrics import on_screen
from export.metrics.on_screen import RULES, Watched, rate

log = logging.getLogger("export")
SUFFIXES = (*VIDEOS, ".gif", ".m4v", ".mpg", ".ts")


def films(root: Path) -> list[Path]:
    """The videos in a folder and below it, or the one file; EdgeError where there is none."""
    found = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise EdgeError(f"{root} holds no video ({', '.join(SUFFIXES)}); pass a folder of clips or one clip")
    return found


def figures(parts: Parts, root: Path, limit: int | None = None, faceless: bool = False) -> dict[str, Any]:
    """Figures of each clip, and of all together; where they are ``faceless``, every answer is false."""
    of: dict[str, Any] = {}
    every: list[Watched] = []
    hours, answers = 0.0, 0
    hz = parts.bundle.manifest.step_hz
    paths = films(root)[:limit]
    for path in with_progress(paths, len(paths), "clips"):
        try:
            seen, seconds = _watch(parts, path)
        except EdgeError as error:
            log.warning("%s is left out: %s", path, error)
            continue
        said = sum(_runs(one) for one in seen)
        every, hours, answers = every + seen, hours + seconds / 3600, answers + said
        name = path.name if root.is_file() else str(path.relative_to(root))
        steadiness = {rule: on_screen.steadiness(seen, rule, hz) for rule in RULES}
        of[name] = {"seconds": round(seconds, 2), "tracks": len(seen), "steadiness": steadiness}
    if not of:
        raise EdgeError(f"none of the {len(paths)} clips of {root} could be read; see the warnings above")
    found: dict[str, Any] = {
        "clips": len(of),
        "seconds": round(3600 * hours, 1),
        "tracks": len(every),
        "steadiness": {rule: on_screen.steadiness(every, rule, hz) for rule in RULES},
        "of": of,
    }
    if faceless:
        found["false_answers"] = rate(answers, hours)
        found["tracks_an_hour"] = rate(len(every), hours)
    return found


def _runs(one: Watched) -> int:
    """Unbroken runs of steps with an answer."""
    said = one.shown >= 0
    return int(said[:1].sum() + (said[1:] & ~said[:-1]).sum())


def _watch(parts: Parts, path: Path) -> tuple[list[Watched], float]:
    """The tracks of a clip, and how long it is."""
    pipeline = parts.new_pipeline()
    color = parts.bundle.manifest.input.in_color
    settings = replace(parts.config, source=SourceConfig(address=str(path), color=color))
    seen: list[list[EmotionEstimate]] = []
    times: list[float] = []
    with session.parts(settings) as opened:
        for frame in opened.frames:
            seen.append(pipeline.step(frame))
            times.append(frame.timestamp_s)
    period = (times[-1] - times[0]) / max(len(times) - 1, 1) if times else 0.0
    return by_track(parts, seen), len(times) * period

"""``emotion-export evaluate`` of what is on screen: unlabeled clips, clips without a face, frozen sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calibration.frozen_sets import SETS, FrozenSet
from edge.errors import EdgeError
from edge.session import Parts
from export.card import generated, screen_clips, screen_tables
from export.card.screen import watching
from export.data import frozen

KINDS = ("clips", "faceless", "generated")


def evaluate(
    folder: Path,
    kind: str,
    path: Path,
    limit: int | None = None,
    detector: str = "",
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """Figures by one of KINDS through the runtime's own pipeline, with the bundle in ``folder`` as fp32.

    ``path`` is a folder of clips, or FER+ for the generated sets, of which ``names`` chooses (default: all of
    the part "development"). EdgeError for a set that does not exist.
    """
    chosen = _sets(names) if kind == "generated" else []
    if names and kind != "generated":
        raise EdgeError("--set chooses among generated sets; leave it out, or pass --dataset generated")
    stills = frozen.stills(path) if kind == "generated" else {}
    with watching(folder, detector) as parts:
        found: dict[str, Any] = {"dataset": kind, "bundle": _about(parts)}
        if kind == "generated":
            found["sets"] = {
                one.name: generated.figures(parts, one, *stills[one.part], limit) for one in chosen
            }
        else:
            found |= screen_clips.figures(parts, path, limit, faceless=kind == "faceless")
        return {**found, "detector": type(parts.detector).__name__}


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    if figures["dataset"] == "generated":
        return screen_tables.generated(figures["sets"])
    return screen_tables.clips(figures)


def _sets(names: Sequence[str]) -> list[FrozenSet]:
    known = {one.name: one for one in SETS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise EdgeError(f"--set is {unknown[0]!r}, expected one of {', '.join(known)}")
    return [known[name] for name in names] or [one for one in SETS if one.part == "development"]


def _about(parts: Parts) -> dict[str, str]:
    about = parts.bundle.manifest
    return {"name": about.name, "version": about.version, "sha256": about.files["fp32"].sha256}

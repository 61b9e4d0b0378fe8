"""Measure a trained bundle and write its model card: from its files and the data file alone."""

from __future__ import annotations

import copy
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from edge import bundle as bundles
from edge.errors import BundleError, EdgeError, require
from export import INSTALL
from export.bundle.write import check_target, copy_files, write_bundle
from export.card.clips import check_clips, on_clips
from export.card.measure import measure
from export.card.picture import draw
from export.card.text import NAME, PICTURE, model_card
from export.data import ferplus


def check_before(out: Path, clips: Sequence[Path], detector: str) -> None:
    """Raise what would keep a card from being written to the bundle ``out``: before hours of work."""
    for module in ("matplotlib", "skimage"):
        require(module, INSTALL)
    check_clips(clips, detector)
    check_target(out)


def write(
    bundle: bundles.Bundle, data: ferplus.FerPlus, clips: Sequence[Path] = (), detector: str = ""
) -> None:
    """Measure a bundle of ``emotion-export train`` and write its card and picture beside it.

    Figures of video stay as they were where no ``clips`` are given; ``detector`` is the path of a YuNet file
    for these, or empty.
    """
    known, figures = bundle.manifest.get("evaluation", {}).get("clips", {}), measure(bundle, data)
    generated = figures["over_time"]["generated"]
    share = max(generated["smoothing"]["EMA"], key=lambda point: float(point["accuracy"]))["at"]
    temperature = generated["per_frame_temperature"]
    figures["clips"] = on_clips(bundle, clips, share, temperature, detector) if clips else known
    bundle.manifest["evaluation"] = figures
    _show(bundle)


def forget(bundle: bundles.Bundle, precisions: Collection[str]) -> None:
    """Take the figures of ``precisions``, whose files were made anew, out of manifest, card and picture."""
    figures = copy.deepcopy(bundle.manifest.get("evaluation", {}))
    if "gate" not in figures:  # no card of `emotion-export train`, or one of before it said what INT8 loses
        return
    stale = set(precisions) & set(figures["precisions"])
    if not stale:
        return
    for found in (
        figures["precisions"],
        figures["gate"],
        *(fault["accuracy"] for fault in figures["robustness"].values()),
    ):
        for name in stale & set(found):
            del found[name]
    bundle.manifest["evaluation"] = figures
    _show(bundle)
    print(f"the card says no more of {', '.join(sorted(stale))}; emotion-export card measures what is listed")


def _show(bundle: bundles.Bundle) -> None:
    bundle.manifest.update(card={"path": NAME}, picture={"path": PICTURE})
    draw(bundle.manifest["evaluation"], bundle.folder / PICTURE)
    (bundle.folder / NAME).write_text(model_card(bundle.manifest), "utf-8")


def renew(folder: Path, data_file: Path, clips: Sequence[Path] = (), detector: str = "") -> None:
    """Measure the bundle at ``folder`` again, and put it with its new card in the old one's place.

    Figures over seeds and against PyTorch need what the bundle does not hold: they stay as they were.
    """
    old = bundles.load(folder, unchecked=("card", "picture"))
    training = old.manifest.get("training", {})
    if "over_seeds" not in training or "per_frame" not in old.manifest:
        raise BundleError(f"{folder} holds no figures over seeds or no head without memory; train it again")
    check_before(folder, clips, detector)
    data = ferplus.load(data_file, training.get("trial", False))
    found, expected = bundles.sha256(data_file), training.get("data_sha256", "unknown")
    if found != expected:
        raise EdgeError(
            f"{data_file} has sha256 {found[:12]}..., the bundle was trained on {expected[:12]}...; "
            "pass --data the same file"
        )

    def fill(fresh: Path) -> dict[str, Any]:
        copy_files(folder, fresh)
        write(bundles.Bundle(fresh, old.manifest), data, clips, detector)
        return old.manifest

    write_bundle(folder, fill)
    print(f"wrote {folder / NAME}", file=sys.stderr)

"""Measure a trained bundle and write its model card: from its files and the data file alone."""

from __future__ import annotations

import copy
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.bundle import Bundle, load
from edge.errors import BundleError, EdgeError, require
from edge.manifest import BundleFile
from edge.system.hashing import sha256
from export import INSTALL
from export.bundle.write import CARD, PICTURE, check_target, draft, write_bundle
from export.card.clips import check_clips, on_clips
from export.card.measure import measure
from export.card.picture import draw, draw_fit
from export.card.text import OWN_MARK, model_card, own_card
from export.data import ferplus


def check_before(out: Path, clips: Sequence[Path], detector: str) -> None:
    """Raise what would keep a card from being written to the bundle ``out``: before hours of work."""
    for module in ("matplotlib", "skimage"):
        require(module, INSTALL)
    check_clips(clips, detector)
    check_target(out)


def write(bundle: Bundle, data: ferplus.FerPlus, clips: Sequence[Path] = (), detector: str = "") -> Bundle:
    """Measure a bundle of ``emotion-export train`` and write its card and picture beside it.

    Figures of video stay as they were where no ``clips`` are given; ``detector`` is the path of a YuNet file
    for these, or empty.
    """
    record, figures = bundle.record(), measure(bundle, data)
    if clips:
        generated = figures["over_time"]["generated"]
        share = max(generated["smoothing"]["EMA"], key=lambda point: float(point["accuracy"]))["at"]
        figures["clips"] = on_clips(bundle, clips, share, generated["per_frame_temperature"], detector)
    else:
        figures["clips"] = record.get("figures", {}).get("clips", {})
    return _with_card(bundle, {**record, "figures": figures})


def forget(bundle: Bundle, precisions: Collection[str]) -> Bundle:
    """Take the figures of ``precisions``, whose files were made anew, out of record, card and picture."""
    record = copy.deepcopy(bundle.record())
    figures, places = record.get("figures", {}), []
    trained = "gate" in figures  # else no card of `emotion-export train`, or one without what INT8 loses
    if trained:
        faults = (fault["accuracy"] for fault in figures["robustness"].values())
        places += [figures["precisions"], figures["gate"], *faults]
    if "fit" in record:
        places.append(record["fit"]["held_out"]["precisions"])
    stale = set(precisions) & {name for place in places for name in place}
    if not stale:
        return bundle
    for place in places:
        for name in stale & set(place):
            del place[name]
    again = "card" if trained else "fit"
    print(
        f"the card no longer covers {', '.join(sorted(stale))}; "
        f"run emotion-export {again} to measure it again"
    )
    return _with_card(bundle, record) if trained else _with_own_card(bundle, record)


def with_fit(bundle: Bundle, fit: dict[str, Any]) -> Bundle:
    """Take what was fitted into manifest, record, card and picture; a card by another hand stays as it is."""
    record, values = (
        {**bundle.record(), "fit": fit},
        {key: fit[key] for key in ("temperature", "abstain_below")},
    )
    bundle = replace(bundle, manifest=replace(bundle.manifest, **values))
    if "gate" in (figures := record.get("figures", {})):  # by train; true of the values it was measured with
        return _with_card(bundle, {**record, "figures": {**fit["before"], **figures}})
    return _with_own_card(bundle, record)


def _with_own_card(bundle: Bundle, record: dict[str, Any]) -> Bundle:
    """The bundle with ``record`` and, unless it has one by another hand, the card that tells its fit."""
    card = bundle.folder / (bundle.manifest.card.path if bundle.manifest.card else CARD)
    if card.exists() and OWN_MARK not in card.read_text("utf-8"):
        print(f"{card.name} stays as it is", file=sys.stderr)
        return Bundle(bundle.folder, bundle.manifest, record)
    draw_fit(record["fit"], bundle.folder / PICTURE)
    manifest = replace(bundle.manifest, card=BundleFile(CARD), picture=BundleFile(PICTURE))
    bundle = Bundle(bundle.folder, manifest, record)
    (bundle.folder / CARD).write_text(own_card(bundle), "utf-8")
    return bundle


def _with_card(bundle: Bundle, record: dict[str, Any]) -> Bundle:
    """The bundle with ``record`` and the card of ``train`` that tells it."""
    changes: dict[str, Any] = {"card": BundleFile(CARD), "picture": BundleFile(PICTURE), "evaluation": None}
    bundle = Bundle(bundle.folder, replace(bundle.manifest, **changes), record)
    draw(record["figures"], bundle.folder / PICTURE, record.get("fit"))
    (bundle.folder / CARD).write_text(model_card(bundle), "utf-8")
    return bundle


def renew(folder: Path, data_file: Path, clips: Sequence[Path] = (), detector: str = "") -> None:
    """Measure the bundle at ``folder`` again, and put it with its new card in the old one's place.

    Figures over seeds and against PyTorch need what the bundle does not hold: they stay as they were.
    """
    old = load(folder, unchecked=("card", "picture"))
    training = old.record().get("training", {})
    if "over_seeds" not in training or old.manifest.per_frame is None:
        raise BundleError(f"{folder} holds no figures over seeds or no head without memory; train it again")
    check_before(folder, clips, detector)
    data = ferplus.load(data_file, training.get("trial", False))
    actual, expected = sha256(data_file), training.get("data_sha256", "unknown")
    if actual != expected:
        raise EdgeError(
            f"{data_file} has sha256 {actual[:12]}..., the bundle was trained on {expected[:12]}...; "
            "pass --data the same file"
        )
    write_bundle(folder, lambda fresh: write(draft(old, fresh), data, clips, detector))
    print(f"wrote {folder / CARD}", file=sys.stderr)

"""Measure a trained bundle and write its model card: from its files and the data file alone."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from edge import bundle as bundles
from edge.errors import BundleError, EdgeError
from export.card_picture import draw
from export.card_text import NAME, PICTURE, model_card
from export.ferplus import FerPlus, load
from export.measure import measure
from export.write_bundle import write_bundle


def write(bundle: bundles.Bundle, data: FerPlus) -> None:
    """Measure a bundle of ``emotion-export train`` and write its card and picture beside it."""
    bundle.manifest["evaluation"] = measure(bundle, data)
    draw(bundle.manifest["evaluation"], bundle.folder / PICTURE)
    (bundle.folder / NAME).write_text(model_card(bundle.manifest), "utf-8")


def renew(folder: Path, data_file: Path) -> None:
    """Measure the bundle at ``folder`` again, and put it with its new card in the old one's place."""
    old = bundles.load(folder)
    training = old.manifest.get("training")
    if training is None or "over_seeds" not in training:
        raise BundleError(f"{folder} was not made by emotion-export train; its card cannot be measured again")
    found = bundles.sha256(data_file) if data_file.is_file() else None
    if found and found != training["data_sha256"]:
        raise EdgeError(f"{data_file} is not the file this bundle was trained on (sha256 {found[:12]}...)")
    data = load(data_file)

    def fill(fresh: Path) -> dict[str, Any]:
        shutil.copytree(folder, fresh, dirs_exist_ok=True)
        bundle = bundles.Bundle(fresh, old.manifest)
        write(bundle, data)
        return bundle.manifest

    write_bundle(folder, fill)
    print(f"wrote {folder / NAME}", file=sys.stderr)

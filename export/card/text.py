"""The model card: a template around measured figures."""

from __future__ import annotations

from math import prod

from edge.bundle import Bundle
from edge.report.page import render
from export.card import fit_tables, tables
from export.metrics.accuracy import ECE_BINS
from export.metrics.intervals import RESAMPLES

OWN_MARK = "is written anew by each fit"  # in a card for a network that was trained elsewhere


def model_card(bundle: Bundle) -> str:
    """Markdown from a bundle's manifest and record."""
    record = bundle.record()
    return render(
        "export", "model-card.md.j2", manifest=bundle.manifest, figures=record["figures"],
        training=record["training"], tables=tables, draws=RESAMPLES, bins=ECE_BINS,
        floats=sum(prod(tensor.shape) for tensor in bundle.state), fit=record.get("fit"),
        fit_tables=fit_tables,
    )  # fmt: skip


def own_card(bundle: Bundle) -> str:
    """Markdown for a network that was trained elsewhere: what the manifest says, and the fit."""
    return render(
        "export", "own-card.md.j2", manifest=bundle.manifest, fit=bundle.record()["fit"], tables=tables,
        fit_tables=fit_tables, bins=ECE_BINS, mark=OWN_MARK,
        floats=sum(prod(tensor.shape) for tensor in bundle.state),
    )  # fmt: skip

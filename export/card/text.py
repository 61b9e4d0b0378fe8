"""The model card: a template around measured figures."""

from __future__ import annotations

from math import prod

from edge.bundle import Bundle
from edge.report.page import render
from export.card import tables
from export.metrics.accuracy import ECE_BINS
from export.metrics.intervals import RESAMPLES


def model_card(bundle: Bundle) -> str:
    """Markdown from a bundle's manifest and record."""
    record = bundle.record()
    return render(
        "export", "model-card.md.j2", manifest=bundle.manifest, figures=record["figures"],
        training=record["training"], tables=tables, draws=RESAMPLES, bins=ECE_BINS,
        floats=sum(prod(tensor.shape) for tensor in bundle.state),
    )  # fmt: skip

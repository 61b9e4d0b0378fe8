"""Self-contained HTML pages of what was proven; no script, nothing loaded from elsewhere."""

from __future__ import annotations

from typing import Any

from edge.bundle import Bundle
from edge.report.page import render
from export.parity.agreement import by_reset
from export.parity.proof import TOLERANCE

Check = tuple[str, str, str, bool]  # what, value, allowed, whether it holds
_FIGURES = {
    "max_abs": "largest difference of a logit from the original, states carried over",
    "framework_max_abs": "the exported window from the network in its framework",
    "staggered_max_abs": "tracks that come and go in one batch, from each alone",
    "batch_max_abs": "a face in batches of 1, 4 and 8, from the face alone",
}


def proof_page(bundle: Bundle) -> str:
    """The page of a bundle's proof."""
    manifest, proof = bundle.manifest, bundle.manifest.proof
    checks: list[Check] = [
        (text, f"{proof[key]:.1e}", f"{TOLERANCE:.0e}", proof[key] <= TOLERANCE)
        for key, text in _FIGURES.items()
        if key in proof
    ]
    face, state = manifest.input, ", ".join(f"{t.input} {'x'.join(map(str, t.shape))}" for t in bundle.state)
    facts = {
        "labels": ", ".join(manifest.labels),
        "face": f"{face.size}x{face.size}, {face.channels} channels, {face.color}, {face.normalization}",
        "state of one track": state or "none",
        "steps per second": f"{manifest.step_hz:g}",
        "trained on windows of": f"{manifest.trained_window} frames",
        "license of the weights": manifest.license,
    }
    rows = bundle.record().get("agreement", [])
    return render(
        "export", "proof.html.j2", manifest=manifest, checks=checks, facts=facts,
        agreement=by_reset(rows), sequences=rows[0]["n"] if rows else 0,
    )  # fmt: skip


def verified_page(name: str, checks: list[Check], figures: dict[str, dict[str, Any]]) -> str:
    """The page of `emotion-export verify`: checks, and figures per class of each precision."""
    return render("export", "verified.html.j2", name=name, checks=checks, figures=figures)

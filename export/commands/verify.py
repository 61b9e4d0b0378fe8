"""Repeat what was proven of a bundle, from nothing but files."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from calibration.collect import load_sequences
from edge import bundle as bundles
from edge.bundle import Bundle, sha256
from edge.engines.golden import MAX_LABEL_CHANGES, MIN_COSINE, reproduces
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.faces.crop import normalise_crops
from export.bundle import pages
from export.commands.bundle import SEQUENCES, fresh, window_logits
from export.graph import window
from export.graph.rewrite import rewrite
from export.int8.gate import Budgets, Check, Labelled, engines_of, gate, read_labelled
from export.int8.reference_engine import judge
from export.parity import proof
from export.parity.agreement import agreement, table


def verify(
    folder: Path, reference: Path | None, data: str, out: Path | None, budgets: Budgets | None = None
) -> bool:
    """Print one line per check and return whether all hold; ``out`` takes the same as a page.

    Where ``data`` has labels, every precision passes the gate, too.
    """
    bundle = bundles.load(folder)
    if reference is not None and not reference.is_file():
        raise EdgeError(f"no file {reference}; --reference is the window graph that the bundle was made from")
    labelled = read_labelled(Path(data), bundle)
    if budgets and (labelled is None or reference):
        raise EdgeError("--budgets are for labelled faces; pass such --data, and no --reference")
    if labelled is not None and reference is None:
        return _say(bundle, *_gate(bundle, labelled, budgets or Budgets()), out)
    window_steps = bundle.manifest["trained_window"]
    crops = load_sequences(data, bundle.manifest, SEQUENCES, max(proof.STEPS, 20 * window_steps))
    faces = np.stack([normalise_crops(sequence, bundle.manifest) for sequence in crops])
    checks: list[Check] = [("all hashes", "right", "right", True)]
    for precision in bundle.precisions:
        checks += _of_precision(bundle, precision, faces)
    if reference:
        checks += _against(bundle, reference, faces)
    return _say(bundle, checks, {}, out)


def _gate(bundle: Bundle, data: Labelled, budgets: Budgets) -> tuple[list[Check], dict[str, dict[str, Any]]]:
    return gate(bundle, engines_of(bundle), data, budgets)


def _say(bundle: Bundle, checks: list[Check], figures: dict[str, dict[str, Any]], out: Path | None) -> bool:
    for name, row in figures.items():
        print(
            f"{name}: accuracy {row['accuracy']:.2%}, UAR {row['uar']:.2%}, ECE {row['ece']:.3f} "
            f"on {row['n']} faces"
        )
    for what, found, allowed, passed in checks:
        print(f"{'holds ' if passed else 'BROKEN'}  {what}: {found} (allowed {allowed})")
    if out:
        name = bundle.manifest["name"]
        body = f"<h1>{escape(name)}</h1>" + pages.checks(checks) + pages.per_class(figures)
        try:
            out.write_text(pages.page(f"{name}: verified", body), "utf-8")
        except OSError as error:
            raise EdgeError(f"cannot write {out} ({error.strerror}); pass another --page") from error
        print(f"wrote {out}")
    return all(passed for *_, passed in checks)


def _of_precision(bundle: Bundle, precision: str, faces: proof.Float32) -> list[Check]:
    engine = judge(bundle.model(precision), precision, threads=1)
    state = {tensor.input: tensor.shape for tensor in bundle.state}
    proof.check_interface(engine, state)
    verdict = reproduces(engine, bundle)
    tolerance = (
        proof.TOLERANCE if precision == "fp32" else 1e-3
    )  # integer sums are exact, their float tail is not
    rows = [("comes and goes in a batch", proof.staggered(engine, state, faces[:, : proof.STEPS]))]
    rows.append(("batches of 1, 4, 8", proof.batches(engine, state, faces[:, :16])))
    cosine, changes = verdict.min_cosine, verdict.label_changes
    return [
        (f"{precision}, golden.npz, min cosine", f"{cosine:.5f}", f">= {MIN_COSINE}", cosine >= MIN_COSINE),
        (
            f"{precision}, golden.npz, label changes",
            f"{changes:.2%}",
            f"<= {MAX_LABEL_CHANGES:.0%}",
            changes <= MAX_LABEL_CHANGES,
        ),
        *(
            (f"{precision}, {what}", f"{value:.1e}", f"<= {tolerance:g}", value <= tolerance)
            for what, value in rows
        ),
    ]


def _against(bundle: Bundle, reference: Path, faces: proof.Float32) -> list[Check]:
    """The bundle's fp32 step against the window graph it was made from."""
    about: dict[str, Any] = bundle.manifest.get("proof", {})
    steps, reset = bundle.manifest["trained_window"], about.get("reset", "never")
    known = about.get("source_sha256")
    if known and known != sha256(reference):
        raise EdgeError(f"{reference} is not the file that {bundle.folder} was made from (sha256 differs)")
    frames = window.load(reference, steps, about.get("time_first", False))
    step = rewrite(frames, reset)
    state = {tensor.input: tensor.shape for tensor in bundle.state}
    engine, ask = OrtEngine(bundle.model("fp32")), window_logits(frames, step)
    compare = proof.chained(frames, step) if reset == "never" else fresh(reset, frames, ask)
    at, expected = compare(faces[:, : proof.STEPS])
    worst = float(np.abs(proof.roll(engine, state, faces[:, : proof.STEPS])[:, at] - expected).max())
    print(table(agreement({reset: (engine, state)}, ask, steps, faces[:, : 20 * steps])))
    return [
        (
            f"fp32 against {reference.name}",
            f"{worst:.1e}",
            f"<= {proof.TOLERANCE:g}",
            worst <= proof.TOLERANCE,
        )
    ]

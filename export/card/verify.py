"""Repeat what was proven of a bundle, from nothing but files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge import answers
from edge.bundle import Bundle, load
from edge.engines.golden import MAX_LABEL_CHANGES, MIN_COSINE, reproduces
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.system.hashing import sha256
from edge.system.ort_session import all_cores
from edge.system.output_file import OutputFile
from edge.system.steps import Steps
from export.bundle.make import real_faces
from export.bundle.pages import Check, verified_page
from export.data.labeled import read_labeled
from export.graph import window
from export.graph.rewrite import rewrite
from export.graph.smooth import smoothed
from export.graph.step import Step
from export.int8.gate import Budgets, gate
from export.int8.reference_engine import reference_engine, reference_engines
from export.parity import proof, references
from export.parity.agreement import agreement, table
from export.parity.faces import Faces

_QUANTIZED_TOLERANCE = 1e-3  # integer sums are exact, their float tail is not


def verify(
    folder: Path,
    reference: Path | None,
    data: str,
    page: OutputFile | None,
    budgets: Budgets | None,
    steps: Steps,
) -> bool:
    """Print one line per check and return whether all hold; ``page`` takes the same as HTML.

    Where ``data`` has labels, every precision passes the gate instead.
    """
    steps.begin(f"reading {folder}")
    bundle = load(folder)
    if reference is not None and not reference.is_file():
        raise EdgeError(f"no file {reference}; --reference is the window graph that the bundle was made from")
    original = _original(bundle, reference) if reference else None  # before hours of checks
    labeled = read_labeled(Path(data), bundle)
    if budgets and (labeled is None or reference):
        raise EdgeError("--budgets needs --data with labeled faces, and no --reference")
    if labeled is not None and reference is None:
        steps.begin(f"checking {', '.join(bundle.precisions)} on {data}")
        return _report(bundle, *gate(bundle, reference_engines(bundle), labeled, budgets or Budgets()), page)
    faces = real_faces(data, bundle.manifest, steps)
    checks: list[Check] = [("all hashes", "right", "right", True)]
    for precision in bundle.precisions:
        steps.begin(f"checking {precision}")
        checks += _of_precision(bundle, precision, faces)
    if reference and original:
        steps.begin(f"comparing with {reference.name}")
        checks.append(_against(bundle, reference, original, faces))
    return _report(bundle, checks, {}, page)


def _report(
    bundle: Bundle, checks: list[Check], figures: dict[str, dict[str, Any]], page: OutputFile | None
) -> bool:
    for name, row in figures.items():
        print(
            f"{name}: accuracy {row['accuracy']:.2%}, UAR {row['uar']:.2%}, ECE {row['ece']:.3f} "
            f"on {row['n']} faces"
        )
    for what, value, allowed, holds in checks:
        print(f"{'holds ' if holds else 'BROKEN'}  {what}: {value} (allowed {allowed})")
    if page:
        page.write(verified_page(bundle.manifest.name, checks, figures).encode())
        print(f"wrote {page.path}")
    return all(holds for *_, holds in checks)


def _of_precision(bundle: Bundle, precision: str, faces: Faces) -> list[Check]:
    engine = reference_engine(bundle.model(precision), precision, threads=1)
    proof.check_interface(engine, bundle.state)
    verdict = reproduces(engine, bundle)
    tolerance = proof.TOLERANCE if precision == "fp32" else _QUANTIZED_TOLERANCE
    cosine, changes = verdict.min_cosine, verdict.label_changes
    staggered = proof.staggered(engine, bundle.state, faces)
    batches = proof.batches(engine, bundle.state, faces)
    checks: list[Check] = [
        ("golden.npz, min cosine", f"{cosine:.5f}", f">= {MIN_COSINE}", cosine >= MIN_COSINE),
        ("golden.npz, answers changed", f"{changes:.2%}", f"<= {MAX_LABEL_CHANGES:.0%}",
         changes <= MAX_LABEL_CHANGES),
        ("comes and goes in a batch", f"{staggered:.1e}", f"<= {tolerance:g}", staggered <= tolerance),
        ("batches of 1, 4, 8", f"{batches:.1e}", f"<= {tolerance:g}", batches <= tolerance),
    ]  # fmt: skip
    return [(f"{precision}, {what}", value, allowed, holds) for what, value, allowed, holds in checks]


def _original(bundle: Bundle, reference: Path) -> tuple[window.Window, Step]:
    """The window that the bundle was made from, and its step; EdgeError if ``reference`` is another file."""
    about = bundle.manifest.proof
    known = about.get("source_sha256")
    if known and known != sha256(reference):
        raise EdgeError(
            f"{reference} is not the file that {bundle.folder} was made from (sha256 differs); pass that one"
        )
    smooth, output, meaning = about.get("smooth", 0), about.get("output", ""), about.get("meaning", "")
    length = None if smooth else bundle.manifest.trained_window
    frames = window.load(reference, length, about.get("time_first", False), smooth)
    frames, output, _ = smoothed(frames, smooth, output, meaning)
    return frames, rewrite(frames, about.get("reset", "never"), output, meaning)


def _against(bundle: Bundle, reference: Path, original: tuple[window.Window, Step], faces: Faces) -> Check:
    """The bundle's fp32 step against the window graph it was made from."""
    (frames, step), reset = original, bundle.manifest.proof.get("reset", "never")
    steps, compared = frames.steps, min(proof.STEPS, faces.shape[1])
    engine, logits = OrtEngine(bundle.model("fp32"), all_cores()), references.window_logits(frames, step)
    at, expected = references.of_window(frames, step, reset, logits)(faces, compared)
    rolled = proof.roll(engine, bundle.state, faces, max(compared, 20 * steps))
    worst = float(np.abs(rolled[: len(expected), at] - expected).max())
    changed, engines = answers.of(bundle.manifest).changed, {reset: (engine, bundle.state)}
    print(table(agreement(engines, logits, steps, faces, {reset: rolled}, changed)))
    tolerance = proof.TOLERANCE
    return f"fp32 against {reference.name}", f"{worst:.1e}", f"<= {tolerance:g}", worst <= tolerance

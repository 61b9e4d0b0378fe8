"""``emotion-bench model``: the step alone, and the share of what the machine can do at best."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.machine import peaks
from edge import bundle as bundles
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine

HELP = "the network's step alone: milliseconds, and the share of the machine's measured peak"
Z = 1.959964  # standard deviations on each side of 95 % of a normal distribution


@dataclass(frozen=True)
class Variant:
    """One way to run the step."""

    precision: str
    threads: int
    faces: int

    def __str__(self) -> str:
        return f"{self.precision}, threads {self.threads}, faces {self.faces}"

    @property
    def kind(self) -> str:
        """What it multiplies, as ``peaks`` names it."""
        return "u8" if self.precision == "int8-cpu" else "float32"


ASKED = {Variant("int8-cpu", 1, 1): ">= 0.6"}  # of the peak of products


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="default: the one that ships")
    parser.add_argument(
        "--precision", action="append", help="one of the bundle's (default: fp32 and int8-cpu)"
    )
    parser.add_argument("--threads", type=harness.count, action="append", help="of ONNX Runtime (default: 1)")
    parser.add_argument(
        "--faces", type=harness.count, action="append", help="in one step (default: 1, 2, 4 and 8)"
    )
    parser.add_argument(
        "--seconds", type=harness.positive, default=0.1, help="of each variant a round (default: 0.1)"
    )


def run(args: argparse.Namespace) -> Report:
    """Measure all variants and the peaks in turns, in one run."""
    bundle = bundles.load(args.bundle or bundles.REFERENCE)
    wanted = variants(bundle, args)
    work: dict[str, Callable[[], object]] = {str(variant): _step(bundle, variant) for variant in wanted}
    work |= peaks.work({(variant.kind, variant.threads) for variant in wanted})
    found = harness.take_turns(work, seconds=args.seconds, least=3)
    rates = peaks.rates({name: median(rounds) for name, rounds in found.items()})
    steps = [measurement(str(variant), found[str(variant)]) for variant in wanted]
    alone = {v.precision: found[str(v)] for v in wanted if (v.threads, v.faces) == (1, 1)}
    figures = [row for variant in wanted for row in _roofline(bundle, variant, found, rates)]
    figures += _further_faces(wanted, found) + _peak_rates(rates)
    told = accuracy(bundle, alone)
    return report(
        "model", harness.ran(bundle=bundle), steps, figures,
        accuracy=told, notes=_missing(bundle, rates, bool(told)),
    )  # fmt: skip


def _missing(bundle: Bundle, rates: dict[str, float], told: bool) -> list[str]:
    """What the report cannot say, and why."""
    notes = []
    if len(rates) == 1:
        notes.append("the peaks of the processor are n/a without onnx: pip install onnx")
    evaluation = bundle.manifest.get("evaluation")
    if not evaluation:
        notes.append("shares of the peak and accuracy are n/a: the bundle's manifest holds no evaluation")
    elif "macs" not in evaluation:
        notes.append("shares of the peak are n/a: the bundle's evaluation holds no macs")
    if evaluation and not told:
        notes.append("accuracy is n/a: no precision with one was measured with one face on one thread")
    return notes


def variants(bundle: Bundle, args: argparse.Namespace) -> list[Variant]:
    """Every wanted precision, with every number of threads and faces."""
    precisions = args.precision or [name for name in ("fp32", "int8-cpu") if name in bundle.precisions]
    threads, faces = args.threads or [1], args.faces or [1, 2, 4, 8]
    return [Variant(p, t, f) for p in precisions for t in threads for f in faces]


def step_feeds(bundle: Bundle, faces: int) -> dict[str, Any]:
    """Random faces and zero states for one step of ``faces`` rows."""
    spec, rng = bundle.manifest["input"], np.random.default_rng(0)
    shape = (faces, spec["channels"], spec["size"], spec["size"])
    state = {t.input: np.zeros((faces, *t.shape), np.float32) for t in bundle.state}
    return {"face": rng.standard_normal(shape).astype(np.float32), **state}


def accuracy(bundle: Bundle, taken: dict[str, list[list[float]]]) -> list[dict[str, Any]]:
    """Accuracy from the bundle's manifest, with an interval, beside the median milliseconds of that file."""
    measured = bundle.manifest.get("evaluation", {}).get("precisions", {})
    return [
        {"precision": name, "ms": median(rounds)} | _told(measured[name])
        for name, rounds in taken.items()
        if "accuracy" in measured.get(name, {})
    ]


def _told(evaluation: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {key: evaluation[key] for key in ("accuracy", "uar", "n") if key in evaluation}
    if not told.get("n"):
        return told
    low, high = wilson(told["accuracy"], told["n"])
    return told | {"low": low, "high": high}


def wilson(share: float, n: int) -> tuple[float, float]:
    """Interval of 95 % of a share of ``n`` independent trials (Wilson, JASA 22 (1927)); within 0..1."""
    middle, spread = share + Z**2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    low, high = ((middle + way * spread) / (1 + Z**2 / n) for way in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def _step(bundle: Bundle, variant: Variant) -> Callable[[], object]:
    engine = OrtEngine(bundle.model(variant.precision), variant.threads)
    feeds = step_feeds(bundle, variant.faces)
    return lambda: engine.run(feeds)


def _peak_rates(rates: dict[str, float]) -> list[dict[str, Any]]:
    """The peaks themselves."""
    rows = [figure("peak copy", rates["copy"] / 1e9, "GB/s", note="read and written")]
    for name, rate in rates.items():
        if name != "copy":
            kind, threads = name.split()
            note = "sums overflow on x86 before VNNI: not for the network" if "saturating" in kind else ""
            rows.append(
                figure(f"peak of {kind} products, threads {threads}", rate / 1e9, "GMAC/s", note=note)
            )
    return rows


def _roofline(
    bundle: Bundle, variant: Variant, found: dict[str, list[list[float]]], rates: dict[str, float]
) -> list[dict[str, Any]]:
    """How near a step comes to the peak of products, and to the least time that it needs here."""
    peak = rates.get(f"{variant.kind} {variant.threads}")
    macs = bundle.manifest.get("evaluation", {}).get("macs")
    if macs is None or peak is None:
        return []
    rate = variant.faces * macs / (median(found[str(variant)]) / 1e3)
    weights_s = bundle.model(variant.precision).stat().st_size / rates["copy"]
    floor_s = max(variant.faces * macs / peak, weights_s)
    bound = "memory" if floor_s == weights_s else "arithmetic"
    reached = f"{rate / 1e9:.0f} of {peak / 1e9:.0f} GMAC/s"
    share = figure(
        f"share of the peak of {variant.kind} products: {variant}", rate / peak, "",
        ASKED.get(variant, ""), reached,
    )  # fmt: skip
    floor = floor_s * 1e3 / median(found[str(variant)])
    return [share, figure(f"t_floor / t_p50: {variant}", floor, note=f"bound by {bound}")]


def _further_faces(wanted: list[Variant], found: dict[str, list[list[float]]]) -> list[dict[str, Any]]:
    """What each face beyond the first costs, in steps of one face."""
    rows = []
    for variant in wanted:
        alone = str(Variant(variant.precision, variant.threads, 1))
        if variant.faces > 1 and alone in found:
            first = median(found[alone])
            each = (median(found[str(variant)]) - first) / (variant.faces - 1) / first
            rows.append(
                figure(f"each further face: {variant}", each, "x", "<= 1.15", "of a step of one face")
            )
    return rows


def median(rounds: list[list[float]]) -> float:
    """Of all samples."""
    return float(np.median([sample for part in rounds for sample in part]))

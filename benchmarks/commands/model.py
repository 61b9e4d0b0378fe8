"""``emotion-bench model``: the step alone, and its share of the machine's measured peak."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.core.stats import Rounds, median, share_interval
from benchmarks.machine import peaks
from edge import bundle as bundles
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.system.pair_safe import is_pair_safe

HELP = "time the network alone, and compare it with the most that this machine can do"


@dataclass(frozen=True)
class Variant:
    """One way to run the step."""

    precision: str
    threads: int
    faces: int
    pair_safe: bool = False  # runs in the fast kernel of any processor

    def __str__(self) -> str:
        return f"{self.precision}, threads {self.threads}, faces {self.faces}"

    @property
    def kind(self) -> str:
        """The element type that it multiplies, as ``peaks`` names it."""
        if self.precision != "int8-cpu":
            return "float32"
        return "u8-saturating" if self.pair_safe else "u8"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The bundle and the variants."""
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="folder of the bundle (default: the reference bundle)",
    )
    parser.add_argument(
        "--precision",
        action="append",
        help="a precision of the bundle; may be repeated (default: fp32 and int8-cpu)",
    )
    parser.add_argument(
        "--threads",
        type=harness.count,
        action="append",
        metavar="N",
        help="threads of ONNX Runtime; may be repeated (default: 1)",
    )
    parser.add_argument(
        "--faces",
        type=harness.count,
        action="append",
        metavar="N",
        help="faces in one step; may be repeated (default: 1, 2, 4 and 8)",
    )
    parser.add_argument(
        "--seconds",
        type=harness.positive,
        default=0.1,
        help="seconds for each variant and round (default: 0.1)",
    )


def run(args: argparse.Namespace) -> Report:
    """Measure all variants and the peaks in turns, in one run."""
    bundle = bundles.load(args.bundle)
    chosen = variants(bundle, args)
    work: dict[str, Callable[[], object]] = {str(variant): _step(bundle, variant) for variant in chosen}
    work |= peaks.work({(variant.kind, variant.threads) for variant in chosen})
    times = harness.take_turns(work, seconds=args.seconds, least=3)
    rates = peaks.rates({name: median(rounds) for name, rounds in times.items()})
    steps = [measurement(str(variant), times[str(variant)]) for variant in chosen]
    alone = {v.precision: times[str(v)] for v in chosen if (v.threads, v.faces) == (1, 1)}
    figures = [row for variant in chosen for row in _roofline(bundle, variant, times, rates)]
    figures += _further_faces(chosen, times) + _peak_rates(rates)
    rows = accuracy(bundle, alone)
    return report(
        "model", harness.fingerprint_of(bundle=bundle), steps, figures,
        accuracy=rows, notes=_missing(bundle, rates, bool(rows)),
    )  # fmt: skip


def _missing(bundle: Bundle, rates: dict[str, float], has_accuracy: bool) -> list[str]:
    """What the report lacks, and why."""
    notes = []
    if len(rates) == 1:
        notes.append("the peaks of the processor are n/a without onnx: pip install onnx")
    measured = _figures(bundle)
    if not measured:
        notes.append("shares of the peak and accuracy are n/a: the bundle has no evaluation")
    elif "macs" not in measured:
        notes.append("shares of the peak are n/a: the bundle's evaluation has no macs")
    if measured and not has_accuracy:
        notes.append("accuracy is n/a: no precision with one was measured with one face on one thread")
    return notes


def variants(bundle: Bundle, args: argparse.Namespace) -> list[Variant]:
    """Every chosen precision with every number of threads and faces."""
    precisions = args.precision or [name for name in ("fp32", "int8-cpu") if name in bundle.precisions]
    threads, faces = args.threads or [1], args.faces or [1, 2, 4, 8]
    fast = {p for p in precisions if is_pair_safe(bundle.read_model(p))}
    return [Variant(p, t, f, p in fast) for p in precisions for t in threads for f in faces]


def accuracy(bundle: Bundle, times: Mapping[str, Rounds]) -> list[dict[str, Any]]:
    """Accuracy from the bundle's evaluation with an interval, and the median milliseconds of that file."""
    measured = _figures(bundle).get("precisions", {})
    return [
        {"precision": name, "ms": median(rounds)} | _with_interval(measured[name])
        for name, rounds in times.items()
        if "accuracy" in measured.get(name, {})
    ]


def _figures(bundle: Bundle) -> dict[str, Any]:
    return bundle.record().get("figures", {})


def _with_interval(measured: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {key: measured[key] for key in ("accuracy", "uar", "n") if key in measured}
    if row.get("n"):
        row["low"], row["high"] = share_interval(row["accuracy"], row["n"])
    return row


def _step(bundle: Bundle, variant: Variant) -> Callable[[], object]:
    engine = OrtEngine(bundle.model(variant.precision), variant.threads)
    feeds = harness.step_feeds(bundle, variant.faces)
    return lambda: engine.run(feeds)


def _peak_rates(rates: dict[str, float]) -> list[dict[str, Any]]:
    rows = [figure("peak copy", rates["copy"] / 1e9, "GB/s", note="read and written")]
    for name, rate in rates.items():
        if name != "copy":
            kind, threads = name.split()
            note = "for pair-safe weights: others overflow on x86 before VNNI" if "saturating" in kind else ""
            rows.append(
                figure(f"peak of {kind} products, threads {threads}", rate / 1e9, "GMAC/s", note=note)
            )
    return rows


def _roofline(
    bundle: Bundle, variant: Variant, times: dict[str, list[list[float]]], rates: dict[str, float]
) -> list[dict[str, Any]]:
    """How close a step comes to the peak of products, and to the least time that it can take here."""
    peak, macs = rates.get(f"{variant.kind} {variant.threads}"), _figures(bundle).get("macs")
    if macs is None or peak is None:
        return []
    took_s = median(times[str(variant)]) / 1e3
    rate = variant.faces * macs / took_s
    weights_s = bundle.model(variant.precision).stat().st_size / rates["copy"]
    floor_s = max(variant.faces * macs / peak, weights_s)
    bound = "memory" if floor_s == weights_s else "arithmetic"
    share = figure(
        f"share of the peak of {variant.kind} products: {variant}", rate / peak,
        note=f"{rate / 1e9:.0f} of {peak / 1e9:.0f} GMAC/s",
    )  # fmt: skip
    return [share, figure(f"t_floor / t_p50: {variant}", floor_s / took_s, note=f"bound by {bound}")]


def _further_faces(chosen: list[Variant], times: dict[str, list[list[float]]]) -> list[dict[str, Any]]:
    """The cost of each face after the first, in steps of one face."""
    rows = []
    for variant in chosen:
        alone = str(Variant(variant.precision, variant.threads, 1))
        if variant.faces > 1 and alone in times:
            first = median(times[alone])
            each = (median(times[str(variant)]) - first) / (variant.faces - 1) / first
            rows.append(figure(f"each further face: {variant}", each, "x", note="of a step of one face"))
    return rows

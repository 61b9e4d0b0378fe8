"""``emotion-bench model``: the step alone, and the share of what the machine can do at best."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, peaks
from benchmarks.fingerprint import fingerprint
from benchmarks.report import Report, figure, measurement, report
from edge import bundle as bundles
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.errors import DependencyError

HELP = "the network's step alone: milliseconds, and the share of the machine's measured peak"
ASKED_SHARE = 0.6  # of the peak of u8 products, int8-cpu on one thread


@dataclass(frozen=True)
class Variant:
    """One way to run the step."""

    precision: str
    threads: int
    faces: int

    def __str__(self) -> str:
        return f"{self.precision}, threads {self.threads}, faces {self.faces}"


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
    work |= _peaks(wanted)
    found = harness.take_turns(work, seconds=args.seconds)
    rates = _rates({name: found[name] for name in found if name.startswith("peak")})
    steps = [measurement(str(variant), found[str(variant)]) for variant in wanted]
    alone = {v.precision: found[str(v)] for v in wanted if (v.threads, v.faces) == (1, 1)}
    macs = bundle.manifest.get("evaluation", {}).get("macs")
    figures = [row for variant in wanted for row in _roofline(bundle, variant, found, rates, macs)]
    figures += _further_faces(wanted, found)
    return report(
        "model", fingerprint(bundle, [], harness.command_line(), 0), steps, figures,
        accuracy=accuracy(bundle, alone),
        notes=[] if any("product" in name for name in found) else [
            "the peaks of the processor are n/a without onnx: pip install onnx"
        ],
    )  # fmt: skip


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
    """Accuracy from the bundle's manifest beside the median milliseconds of the same files."""
    measured = bundle.manifest.get("evaluation", {}).get("precisions", {})
    return [
        {"precision": name, "ms": _median(rounds)}
        | {key: measured[name][key] for key in ("accuracy", "uar", "n") if key in measured[name]}
        for name, rounds in taken.items()
        if name in measured
    ]


def _step(bundle: Bundle, variant: Variant) -> Callable[[], object]:
    engine = OrtEngine(bundle.model(variant.precision), variant.threads)
    feeds = step_feeds(bundle, variant.faces)
    return lambda: engine.run(feeds)


def _peaks(wanted: list[Variant]) -> dict[str, Callable[[], object]]:
    """The products of the element types and threads that are measured, and one large copy."""
    work: dict[str, Callable[[], object]] = {"peak copy": peaks.copy()}
    try:
        for quantized, threads in sorted({(v.precision == "int8-cpu", v.threads) for v in wanted}):
            for size, call in peaks.products(quantized, threads).items():
                work[f"peak product {_kind(quantized)} {threads} {size}"] = call
    except DependencyError:
        pass  # a board has no onnx; the report says so
    return work


def _kind(quantized: bool) -> str:
    return "u8" if quantized else "float32"


def _rates(found: dict[str, list[list[float]]]) -> dict[str, float]:
    """Bytes/s of "copy" and best MAC/s of each "u8 1", "float32 2", ... ."""
    rates = {"copy": 2 * peaks.COPIED_BYTES / (_median(found.pop("peak copy")) / 1e3)}
    for name, rounds in found.items():
        _, _, kind, threads, size = name.split()
        rate = int(size) ** 3 / (_median(rounds) / 1e3)
        rates[f"{kind} {threads}"] = max(rate, rates.get(f"{kind} {threads}", 0.0))
    return rates


def _roofline(
    bundle: Bundle,
    variant: Variant,
    found: dict[str, list[list[float]]],
    rates: dict[str, float],
    macs: int | None,
) -> list[dict[str, Any]]:
    """How near a step comes to the least time that its arithmetic and its weights need here."""
    peak = rates.get(f"{_kind(variant.precision == 'int8-cpu')} {variant.threads}")
    if macs is None or peak is None:
        return []
    weights = bundle.model(variant.precision).stat().st_size
    arithmetic_s, reading_s = variant.faces * macs / peak, weights / rates["copy"]
    took_s = _median(found[str(variant)]) / 1e3
    share = max(arithmetic_s, reading_s) / took_s
    reached = f"{variant.faces * macs / took_s / 1e9:.0f} of {peak / 1e9:.0f} GMAC/s"
    bound = "arithmetic" if arithmetic_s >= reading_s else "memory"
    asked = f">= {ASKED_SHARE:g}" if (variant.precision, variant.threads) == ("int8-cpu", 1) else ""
    return [figure(f"t_floor / t_p50: {variant}", share, "", asked, f"{reached}; bound by {bound}")]


def _further_faces(wanted: list[Variant], found: dict[str, list[list[float]]]) -> list[dict[str, Any]]:
    """What each face beyond the first costs, in steps of one face."""
    rows = []
    for variant in wanted:
        alone = str(Variant(variant.precision, variant.threads, 1))
        if variant.faces > 1 and alone in found:
            first = _median(found[alone])
            each = (_median(found[str(variant)]) - first) / (variant.faces - 1) / first
            rows.append(
                figure(f"each further face: {variant}", each, "x", "<= 1.15", "of a step of one face")
            )
    return rows


def _median(rounds: list[list[float]]) -> float:
    return float(np.median([sample for part in rounds for sample in part]))

"""One row of the table from which the reference encoder was chosen."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx

from calibration import ranges
from edge.engines.ort import OrtEngine
from edge.preprocess import normalize
from edge.protocols import Engine
from export.bundle.describe import audit
from export.data.ferplus import FerPlus, majority
from export.graph.to_onnx import export_step
from export.int8.quantize import write_int8
from export.train.batches import INPUT
from export.train.frames import accuracy, predict
from export.train.networks import FrameClassifier

_CALIBRATION_FACES, _RUNS = 512, 300


def title() -> str:
    """Head of the Markdown table."""
    return (
        "| encoder | MMAC | parameters | dev accuracy | dev UAR | int8 loss (points) "
        "| fp32 ms | int8 ms | ratio |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )


def measured(model: FrameClassifier, data: FerPlus, folder: Path) -> dict[str, float]:
    """Figures of the development fold, cost, and one-thread times (median of alternating runs, batch 1)."""
    dev = data.fold == 1
    images, labels = data.images[dev], majority(data.votes[dev])
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    export_step(model, (), (1, 48, 48), fp32)
    faces = data.images[data.fold == 0][:_CALIBRATION_FACES]
    step = onnx.load(str(fp32))
    histograms = ranges.observe(step, (), [normalize(faces, INPUT)])
    write_int8(step, int8, ranges.summarize(histograms, "minmax"), "cpu")
    quantized = OrtEngine(int8, threads=1)
    acc, uar = accuracy(predict(model, images), labels)
    rounded, rounded_uar = accuracy(quantized.run({"face": normalize(images, INPUT)})["logits"], labels)
    slow, fast = _times(OrtEngine(fp32, threads=1), quantized)
    return {
        "mmac": audit(fp32)["macs"] / 1e6,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dev_faces": int((labels >= 0).sum()),
        "accuracy": acc,
        "uar": uar,
        "int8_accuracy": rounded,
        "int8_uar": rounded_uar,
        "fp32_ms": slow,
        "int8_ms": fast,
    }


def row(name: str, result: dict[str, float]) -> str:
    """What ``measured`` found, under ``title``."""
    acc, slow, fast = result["accuracy"], result["fp32_ms"], result["int8_ms"]
    return (
        f"| {name.replace('|', chr(92) + '|')} | {result['mmac']:.1f} | {result['parameters'] / 1e6:.2f} M "
        f"| {acc:.1%} | {result['uar']:.1%} | {100 * (acc - result['int8_accuracy']):+.1f} "
        f"| {slow:.2f} | {fast:.2f} | {slow / fast:.2f} |"
    )


def _times(first: Engine, second: Engine) -> tuple[float, float]:
    """Median milliseconds of two engines that take turns, so that noise meets both."""
    feeds = {"face": np.zeros((1, 1, 48, 48), np.float32)}
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(_RUNS):
        for engine, times in zip((first, second), taken, strict=True):
            started = time.perf_counter()
            engine.run(feeds)
            times.append(time.perf_counter() - started)
    return float(np.median(taken[0]) * 1e3), float(np.median(taken[1]) * 1e3)

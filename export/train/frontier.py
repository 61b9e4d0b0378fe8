"""Which encoder to take: accuracy of the development fold against the time of a step, from a small file.

Accuracies come from trained networks (``compare-encoders``), times from networks of the same shapes with
random weights, which take as long. A time is a ratio to the step of the bundle that ships: bursts of both in
turns, the processor time of the one thread, median of the rounds.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from calibration import ranges
from edge import bundle as bundles
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.protocols import Engine
from edge.system.atomic_write import atomic_write
from edge.system.drawing import new_figure
from export.bundle.describe import audit
from export.graph.states import tensors
from export.graph.to_onnx import export_step
from export.int8.quantize import write_int8
from export.train.encoders import NAMED
from export.train.networks import FACE, StreamingNetwork

PRECISIONS = ("fp32", "int8-cpu")
_FIGURES = ("mmac", "parameters", "dev_faces", "accuracy", "uar", "int8_accuracy", "int8_uar")
_ROUNDS, _BURST = 15, 20
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
_STATE = {"state_h": (96,)}

Row = dict[str, Any]  # encoder, _FIGURES, epochs, seed, and times: processor -> precision -> ratio


def read(path: Path) -> list[Row]:
    """The rows of a file that ``write`` wrote, none where there is none; EdgeError where it is damaged."""
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [{**row, "times": dict(row["times"]), "encoder": str(row["encoder"])} for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise EdgeError(f"{path} holds no results ({error}); remove it to begin anew") from error


def write(path: Path, rows: Sequence[Row]) -> None:
    """Rows in the order of their work, one line each."""
    lines = ",\n".join(json.dumps(row) for row in sorted(rows, key=lambda row: row["mmac"]))
    atomic_write(path, f"[\n{lines}\n]\n".encode())


def collect(rows: list[Row], work: Path, epochs: int) -> list[Row]:
    """``rows`` with what ``compare-encoders`` found in ``work`` after ``epochs``, without a teacher."""
    known = {row["encoder"]: row for row in rows}
    for file in sorted((work / "encoders").glob("*/result.json")):
        found = json.loads(file.read_text("utf-8"))
        recipe = found["recipe"]
        if recipe["epochs"] == epochs and not recipe["teacher"]:
            times = known.get(found["encoder"], {}).get("times", {})
            figures = {key: round(found[key], 4) for key in _FIGURES}
            about = {"epochs": epochs, "seed": recipe["seed"], "times": times}
            known[found["encoder"]] = {"encoder": found["encoder"], **figures, **about}
    return list(known.values())


def planned(rows: list[Row], encoders: Sequence[str], folder: Path) -> list[Row]:
    """``rows`` and one for each of ``encoders`` that is not there; its accuracy is still unknown."""
    there = {row["encoder"] for row in rows}
    missing = [text for text in (NAMED.get(text, text) for text in encoders) if text not in there]
    return [*rows, *({"encoder": text, "mmac": _mmac(text, folder), "times": {}} for text in missing)]


def measure(rows: Sequence[Row], processor: str, folder: Path) -> None:
    """Put the ratios of each row that lacks them under ``processor``; files are made in ``folder``."""
    reference = bundles.load(bundles.REFERENCE)
    today = OrtEngine(reference.model("int8-cpu"), threads=1)
    for row in rows:
        if processor not in row["times"]:
            files = _files(row["encoder"], folder)
            row["times"][processor] = {
                kind: round(ratio(OrtEngine(file, threads=1), today), 3) for kind, file in files.items()
            }


def ratio(engine: Engine, today: Engine) -> float:
    """Time of a step of ``engine`` over that of ``today``, both with one state of 96."""
    rng = np.random.default_rng(0)
    feeds = {"face": rng.standard_normal((1, 1, FACE, FACE)).astype(np.float32)}
    feeds["state_h"] = np.zeros((1, *_STATE["state_h"]), np.float32)
    rounds = []
    for _ in range(_ROUNDS + 1):
        taken = []
        for one in (engine, today):
            one.run(feeds)  # the caches are its own
            started = time.thread_time()
            for _ in range(_BURST):
                one.run(feeds)
            taken.append(time.thread_time() - started)
        rounds.append(taken[0] / taken[1])
    return statistics.median(rounds[1:])


def table(rows: Sequence[Row]) -> str:
    """Markdown, in the order of the work, which numbers the encoders."""
    processors = sorted({name for row in rows for name in row["times"]})
    times = [f"{name}, {kind}" for name in processors for kind in reversed(PRECISIONS)]
    head = ["", "encoder", "MMAC", "k parameters", "dev accuracy", "dev UAR", "int8 accuracy", *times]
    lines = [" | ".join(head), "|".join("---" for _ in head)]
    for number, row in numbered(rows).items():
        shares = [f"{row[key]:.1%}" if key in row else "" for key in ("accuracy", "uar", "int8_accuracy")]
        found = [row["times"].get(name, {}).get(kind) for name in processors for kind in reversed(PRECISIONS)]
        size = f"{row['parameters'] / 1e3:.0f}" if "parameters" in row else ""
        cells = [str(number), row["encoder"].replace("|", "\\|"), f"{row['mmac']:.1f}", size, *shares]
        lines.append(" | ".join([*cells, *("" if one is None else f"{one:.2f}" for one in found)]))
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def numbered(rows: Sequence[Row]) -> dict[int, Row]:
    """The rows in the order of their work, by the numbers that table and picture give them."""
    return dict(enumerate(sorted(rows, key=lambda row: float(row["mmac"])), 1))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Accuracy against time into a picture: a panel for each processor, a line for each precision's best.

    The numbers are those of ``table``.
    """
    shown = {number: row for number, row in numbered(rows).items() if "accuracy" in row and row["times"]}
    processors = sorted({name for row in shown.values() for name in row["times"]})
    if not processors:
        raise EdgeError("no encoder has both an accuracy and a time; pass --work and --times first")
    sheet = new_figure(figsize=(7 * len(processors), 5), layout="constrained")
    for axis, name in zip(sheet.subplots(1, len(processors), squeeze=False)[0], processors, strict=True):
        for kind, accuracy in (("int8-cpu", "int8_accuracy"), ("fp32", "accuracy")):
            points = sorted(
                (row["times"][name][kind], 100 * row[accuracy], number)
                for number, row in shown.items()
                if name in row["times"]
            )
            [dots] = axis.plot([x for x, _, _ in points], [y for _, y, _ in points], "o", label=kind)
            best = [p for at, p in enumerate(points) if all(p[1] > q[1] for q in points[:at])]
            axis.step([x for x, _, _ in best], [y for _, y, _ in best], where="post", color=dots.get_color())
            for x, y, number in points:
                axis.annotate(str(number), (x, y), (5, -10), textcoords="offset points", fontsize=8)
        axis.set(xscale="log", title=name, xlabel="time of a step, int8-cpu of the bundle that ships = 1")
        axis.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axis.minorticks_off()
        axis.set_ylabel("accuracy on the development fold, %")
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right")
    sheet.savefig(path, dpi=90)


def _mmac(encoder: str, folder: Path) -> float:
    return round(float(audit(_files(encoder, folder)["fp32"])["macs"]) / 1e6, 4)


def _files(encoder: str, folder: Path) -> dict[str, Path]:
    """The step of ``encoder`` with a GRU and random weights, by precision."""
    torch.manual_seed(0)
    model = StreamingNetwork(encoder, "cnn-gru").eval()
    state = tensors(model.state)
    paths = {kind: folder / f"{kind}.onnx" for kind in PRECISIONS}
    export_step(model, state, (1, FACE, FACE), paths["fp32"])
    step = onnx.load(str(paths["fp32"]))
    faces = np.random.default_rng(0).standard_normal((2, 8, 1, FACE, FACE)).astype(np.float32)
    histograms = ranges.observe(step, state, list(faces))
    write_int8(step, paths["int8-cpu"], ranges.summarize(histograms, "minmax"), "cpu")
    return paths

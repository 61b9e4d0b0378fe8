"""Which layer costs how much in INT8: one at a time, all up to it, and which to leave in float."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from calibration import ranges
from edge.bundle import Bundle, load
from edge.engines import golden
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.system.cache import writable_cache
from edge.system.drawing import new_figure
from edge.system.marks import SOFTWARE
from edge.system.output_file import OutputFile
from export.data.labeled import Labeled, need_labeled
from export.int8 import qdq
from export.int8.gate import Budgets, figures, streams


@dataclass(frozen=True)
class Cost:
    """What INT8 in some layers costs: root mean square of the logit error, cosine, accuracy."""

    name: str
    error: float
    min_cosine: float
    accuracy_loss: float


class Probe:
    """Tries sets of layers in INT8 against fp32, on streams and labeled faces."""

    def __init__(self, bundle: Bundle, table: qdq.Ranges, dialect: str, data: Labeled) -> None:
        self._bundle, self._table, self._dialect, self._data = bundle, table, dialect, data
        self._model: ModelProto = onnx.load(str(bundle.model("fp32")))
        self._crops = streams(data)
        engine = OrtEngine(bundle.model("fp32"), threads=2)
        self._logits = golden.roll(engine, bundle, self._crops)
        self._accuracy = figures(engine, bundle, data)["accuracy"]
        self.layers = [node.name for node in self._model.graph.node if node.op_type == "Conv"]
        if "" in self.layers or len(set(self.layers)) != len(self.layers):
            raise EdgeError(f"{bundle.folder}: its convolutions need names that differ; export it again")

    def cost(self, name: str, int8: Collection[str]) -> Cost:
        """The cost of exactly these layers in INT8."""
        keep = [layer for layer in self.layers if layer not in int8]
        model = qdq.quantize(self._model, self._table, self._dialect, keep_float=keep)
        with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
            path = Path(folder) / "trial.onnx"
            onnx.save_model(model, str(path))
            engine = OrtEngine(path, threads=2)
            logits = golden.roll(engine, self._bundle, self._crops)
            accuracy = figures(engine, self._bundle, self._data)["accuracy"]
        error = float(np.sqrt(np.mean((logits - self._logits) ** 2)))
        cosine = golden.compare(logits, self._logits).min_cosine
        return Cost(name, error, cosine, self._accuracy - accuracy)


def sensitivity(probe: Probe) -> tuple[list[Cost], list[Cost]]:
    """Costs of each layer alone, and of all layers up to and with it."""
    alone = [probe.cost(layer, {layer}) for layer in probe.layers]
    upto = [probe.cost(layer, set(probe.layers[: at + 1])) for at, layer in enumerate(probe.layers)]
    return alone, upto


def choose_float(probe: Probe, alone: list[Cost], budgets: Budgets) -> tuple[list[str], Cost]:
    """Layers to leave in float, the worst first, until the budgets hold; and what the rest costs then."""
    worst_first = [cost.name for cost in sorted(alone, key=lambda cost: -cost.error)]
    for count in range(len(worst_first)):
        in_float = worst_first[:count]
        cost = probe.cost("mixed", set(probe.layers) - set(in_float))
        if cost.min_cosine >= budgets.min_cosine and cost.accuracy_loss <= budgets.accuracy_loss:
            return in_float, cost
    raise EdgeError("no layer can be in INT8 within the budgets; measure the ranges on more sequences")


def run(
    folder: Path, table: Path, dialect: str, data: Path, budgets: Budgets, plot: OutputFile | None
) -> None:
    """Print the tables and the choice; ``plot`` takes a PNG."""
    bundle = load(folder)
    labeled = need_labeled(data, bundle, choosing=True)
    probe = Probe(bundle, ranges.read(table)["tensors"], dialect, labeled)
    alone, upto = sensitivity(probe)
    width = max(len(layer) for layer in probe.layers)
    print(f"{'layer':<{width}}  error alone    cosine     loss    error so far    cosine")
    for one, all_so_far in zip(alone, upto, strict=True):
        print(
            f"{one.name:<{width}}  {one.error:>11.4f}  {one.min_cosine:>8.5f}  {one.accuracy_loss:>7.2%}  "
            f"{all_so_far.error:>14.4f}  {all_so_far.min_cosine:>8.5f}"
        )
    in_float, cost = choose_float(probe, alone, budgets)
    print(
        f"leave in float: {', '.join(in_float) or 'none'}; then min cosine {cost.min_cosine:.5f}, "
        f"accuracy lost {cost.accuracy_loss:.2%}"
    )
    if plot:
        plot.write(_draw(alone, upto, bundle.manifest.name))
        print(f"wrote {plot.path}")


def _draw(alone: list[Cost], upto: list[Cost], name: str) -> bytes:
    figure = new_figure(figsize=(8, 1.2 + 0.35 * len(alone)), layout="constrained")
    axes: Any = figure.subplots()
    at = np.arange(len(alone))
    axes.barh(at - 0.2, [cost.error for cost in alone], 0.4, label="this layer alone", color="#4c72b0")
    axes.barh(at + 0.2, [cost.error for cost in upto], 0.4, label="all layers up to it", color="#c2c7d0")
    axes.set_yticks(at, [cost.name for cost in alone])
    axes.invert_yaxis()
    axes.set_xlabel("root mean square error of a logit over 300 steps")
    axes.set_title(f"{name}: what each convolution costs in INT8", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format="png", metadata={"Software": SOFTWARE})
    return picture.getvalue()

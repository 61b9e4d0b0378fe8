"""The baseline that a bundle carries: its encoder with a linear head that has no memory.

The head is trained on the same degraded frames as the recurrent one. It travels as two small arrays, so that
whoever holds the bundle can repeat the comparison with smoothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx.utils import Extractor
from torch import nn

from edge.bundle import Bundle
from edge.errors import BundleError
from export.bundle.describe import shapes
from export.graph.session import session

Float32 = npt.NDArray[np.float32]


def save(head: nn.Linear, path: Path) -> None:
    """Write ``weight`` (K,F) and ``bias`` (K,) of the linear head."""
    np.savez(path, weight=head.weight.detach().numpy(), bias=head.bias.detach().numpy())


def load(bundle: Bundle) -> Callable[[Float32], Float32]:
    """Logits (M,T,K) of normalized faces (M,T,C,S,S), each frame on its own."""
    entry = bundle.manifest.per_frame
    if entry is None:
        raise BundleError(f"bundle {bundle.folder} carries no per-frame head; train it again")
    with np.load(bundle.folder / entry.path) as saved:
        weight, bias = saved["weight"], saved["bias"]
    maps = _encoder(bundle.model("fp32"))

    def logits(faces: Float32) -> Float32:
        steps = [maps(row).mean(axis=(2, 3)) @ weight.T + bias for row in faces]
        return np.stack(steps).astype(np.float32)

    return logits


def _encoder(path: Path) -> Callable[[Float32], Float32]:
    """The last maps (N,F,H,W) from which a step graph makes its logits, for faces (N,C,S,S)."""
    step = onnx.load(str(path))
    known = shapes(step)
    # Another output may have maps of its own, after these.
    step = Extractor(step).extract_model([value.name for value in step.graph.input], ["logits"])
    *_, last = (n.output[0] for n in step.graph.node if len(known.get(n.output[0], ())) == 4)
    encoder = session(Extractor(step).extract_model(["face"], [last]))
    return lambda faces: encoder.run(None, {"face": faces})[0]

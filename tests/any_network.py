"""Random networks of all kinds, each made a step or refused: `make test-networks COUNT=100`.

A network has to come out equal within 1e-5, over one window and over 300 steps, or be refused in one line
that names the node. It goes on where it was ended: what was judged stands in ``.cache/networks.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

import networks
import onnx

from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from export.graph import window
from export.graph.rewrite import rewrite
from export.graph.step import Step
from export.parity import proof, references

TOLERANCE = 1e-5
_SEEN = Path(__file__).parents[1] / ".cache" / "networks.jsonl"


def judged(recipe: networks.Recipe, folder: Path) -> tuple[str, str]:
    """What became of one network: ("equal", figures), ("refused", line), or a fault in capitals."""
    net = networks.build(recipe)
    try:
        path = networks.exported(net, folder / "window.onnx")
    except Exception as error:  # PyTorch's own exporter cannot do it: nothing of ours was asked
        return "not exported", str(error).splitlines()[0]
    words = net.refusal()
    try:
        frames = window.load(path, None, recipe.axes.startswith("T"))
        step = rewrite(frames)
    except EdgeError as error:
        line = str(error)
        named = words and any(word in line for word in words.split("|"))
        return ("refused" if named and "\n" not in line else "REFUSED FOR ANOTHER REASON"), line
    except Exception as error:
        return "TRACEBACK", "".join(traceback.format_exception(error)[-2:])
    if words:
        return "NOT REFUSED", f"expected {words}"
    try:
        return _compared(net, frames, step, folder / "step.onnx")
    except EdgeError as error:
        return "DIFFERENT", str(error)


def _compared(net: networks.Network, frames: window.Window, step: Step, path: Path) -> tuple[str, str]:
    onnx.save(step.model, str(path))
    with OrtEngine(path) as engine:
        crops = networks.faces(net.recipe)
        found = step.answer.output(proof.roll(engine, step.state, crops)[:, -1])
        first = float(np.abs(found - networks.answer(net, crops)).max())
        logits = references.window_logits(frames, step)
        original = references.of_window(frames, step, "never", logits)

        def reference(faces: proof.AnyFaces, steps: int) -> tuple[list[int], proof.Float32]:
            at, expected = original(faces, steps)
            return at, step.answer.output(expected)

        long = networks.faces(net.recipe, 2, 300, seed=2)
        figures = proof.prove(engine, step.state, long, reference, answers=step.answer.output)
    worst = max(first, figures["max_abs"], figures["batch_max_abs"], figures["staggered_max_abs"])
    return ("equal" if worst <= TOLERANCE else "DIFFERENT"), f"{first:.1e} {figures['max_abs']:.1e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--anew", action="store_true", help="forget what was judged")
    args = parser.parse_args()
    torch.set_num_threads(1)
    _SEEN.parent.mkdir(exist_ok=True)
    if args.anew:
        _SEEN.unlink(missing_ok=True)
    lines = _SEEN.read_text().splitlines() if _SEEN.exists() else []
    seen = {row["seed"]: row["verdict"] for row in map(json.loads, lines)}
    begin, fresh = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder, _SEEN.open("a") as file:
        for seed in range(args.count):
            if seed in seen and not seen[seed].isupper():
                continue
            recipe = networks.random_recipe(seed)
            verdict, told = judged(recipe, Path(folder))
            seen[seed], fresh = verdict, fresh + 1
            file.write(json.dumps({"seed": seed, "verdict": verdict, "told": told[:300]}) + "\n")
            file.flush()
            if verdict.isupper():
                print(f"{seed}: {verdict}: {recipe}: {told}", flush=True)
    counts = Counter(seen[seed] for seed in range(args.count))
    took = time.monotonic() - begin
    print(f"{args.count} networks: {dict(counts)}; {fresh} of them now, in {took:.0f} s")
    return int(any(verdict.isupper() for verdict in counts))


if __name__ == "__main__":
    sys.exit(main())

"""A backend refuses a graph that is not the one its manifest describes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from edge import bundle
from edge.config import EngineConfig
from edge.engines.backends import BACKENDS
from edge.errors import BundleError
from edge.manifest import StateTensor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": ("one", "two")},
            r"logits is float32 \(N, 3\) in the graph, but float32 \(N, 2\) in the manifest",
        ),
        (
            {"state": (StateTensor("state_h", "new_state_h", (3,)),)},
            r"state_h is float32 \(N, 2\) in the graph, but float32 \(N, 3\)",
        ),
        (
            {"state": (StateTensor("elsewhere", "new_state_h", (2,)),)},
            "input elsewhere is missing in the graph",
        ),
    ],
)
def test_another_graph_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    loaded = bundle.load(tiny.write(tmp_path / "b"))
    other = replace(loaded, manifest=replace(loaded.manifest, **change))
    with pytest.raises(BundleError, match=message):
        BACKENDS[0].load(EngineConfig(), other, "fp32", 1)

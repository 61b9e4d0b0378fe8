"""The model's share of the machine's peak, its accuracy with an interval, and what is told to be missing."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from benchmarks.commands import model
from edge import bundle as bundles

MEASURED = {"accuracy": 0.86, "uar": 0.7, "n": 3157}


def write(folder: Path, measured: dict[str, Any] = MEASURED) -> Path:
    """The tiny bundle with an evaluation."""
    record = {"figures": {"macs": 1_000_000, "precisions": {"fp32": measured}}}
    content = json.dumps(record).encode()
    (folder / "evaluation.json").write_bytes(content)
    entry = {"path": "evaluation.json", "sha256": hashlib.sha256(content).hexdigest()}
    return tiny.write(folder, evaluation=entry)


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    model.add_options(parser)
    return parser.parse_args([*words, "--precision", "fp32", "--faces", "1", "--seconds", "0.01"])


def values(made: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row["value"] for row in made["figures"]}


def test_accuracy_has_an_interval_where_the_number_of_trials_is_known(tmp_path: Path) -> None:
    bundle = bundles.load(write(tmp_path))
    (row,) = model.accuracy(bundle, {"fp32": [[2.0, 4.0]], "int8-cpu": [[1.0]]})
    assert (row["precision"], row["ms"], row["accuracy"], row["n"]) == ("fp32", 3.0, 0.86, 3157)
    assert row["low"] < row["accuracy"] < row["high"]
    bundle = bundles.load(write(tmp_path, {"accuracy": 0.86, "uar": 0.7}))
    (row,) = model.accuracy(bundle, {"fp32": [[2.0]]})
    assert "low" not in row


def test_a_bundle_without_evaluation_says_what_is_missing(tmp_path: Path) -> None:
    made = model.run(options(str(tiny.write(tmp_path))))
    assert made["accuracy"] == []
    assert any("accuracy are n/a: the bundle has no evaluation" in n for n in made["notes"])
    assert not any("share of the peak" in name for name in values(made))


@pytest.mark.export
def test_the_share_of_the_peak_and_the_least_time_are_figures_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    found = values(model.run(options(str(write(tmp_path)))))
    variant = "fp32, threads 1, faces 1"
    share = found[f"share of the peak of float32 products: {variant}"]
    # The least time counts the weights' way from memory, too.
    assert 0 < share <= found[f"t_floor / t_p50: {variant}"] * (1 + 1e-9)
    assert found["peak of float32 products, threads 1"] > 0
    assert not any("u8" in name for name in found), "int8 was not asked for"


def test_a_step_multiplies_in_the_type_that_the_processor_has() -> None:
    assert model.Variant("int8-cpu", 1, 1).kind == "u8"
    assert model.Variant("int8-cpu", 1, 1, pair_safe=True).kind == "u8-saturating"
    assert model.Variant("fp16", 1, 1).kind == "float32", "the processor computes it in float32"

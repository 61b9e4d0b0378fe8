"""Histograms that double their width, and ranges over sequences whose state moves."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import calibration_set, ranges
from edge import bundle as bundles
from edge.errors import EdgeError


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=200), st.floats(0.51, 0.99))
def test_a_quantile_is_right_to_the_width_of_a_bin(values: list[float], share: float) -> None:
    seen = ranges.Histogram()
    for part in np.array_split(np.array(values, np.float32), 3):
        if len(part):
            seen.add(part)
    assert (seen.low, seen.high) == (min(values), max(values))
    assert seen.counts.sum() == len(values)
    bin_width = 2 * seen.width / ranges.BINS
    below = np.mean(np.array(values) <= seen.quantile(share) + bin_width)
    assert below >= share - 1e-9
    assert seen.low <= seen.quantile(1 - share) <= seen.quantile(share) <= seen.high


def test_not_a_number_is_refused() -> None:
    with pytest.raises(EdgeError, match="not finite"):
        ranges.Histogram().add(np.array([1, np.nan], np.float32))


def test_the_memory_does_not_grow() -> None:
    seen = ranges.Histogram()
    for scale in (1e-3, 1.0, 1e6):
        seen.add(np.full(1000, scale, np.float32))
    assert seen.counts.size == ranges.BINS
    assert seen.width >= 1e6


# A small process between: until it executes, a forked child counts its parent's memory as its own, and the
# process that runs all the tests is large by now.
PEAK_KB = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.export
def test_the_command_stays_under_600_mb(tmp_path) -> None:
    """The whole process, on the reference network; more steps need no more (129 MiB for 5,024 of them)."""
    pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (8, 48, 48, 48)).astype(np.uint8)
    calibration_set.write(tmp_path, [calibration_set.Sequence(c, "neutral", "noise") for c in crops], "none")
    command = [sys.executable, "-m", "calibration", "ranges", bundles.REFERENCE, tmp_path]
    measured = [sys.executable, "-c", PEAK_KB, *command, "-o", tmp_path / "r.json"]
    peak_kb = int(subprocess.run(measured, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    assert ranges.read(tmp_path / "r.json")["steps"] == 384
    assert peak_kb < 600 * 1024


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a ranges file"),
        ("[]", "is not a ranges file: it has no tensors; make it with"),
        ('{"format": 7, "tensors": {}}', "format 7"),
        ('{"format": 1, "tensors": {"a": [1, 0]}}', "'a'"),
        ('{"format": 1, "tensors": {"a": [0, Infinity]}}', "Infinity is no number"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text: str, words: str) -> None:
    path = tmp_path / "ranges.json"
    path.write_text(text)
    with pytest.raises(EdgeError, match=words):
        ranges.read(path)


def test_what_was_written_is_read(tmp_path) -> None:
    path = tmp_path / "ranges.json"
    ranges.write(path, {"a": [-1.0, 2.0]}, {"method": "minmax"})
    assert ranges.read(path)["tensors"] == {"a": [-1.0, 2.0]}
    assert json.loads(path.read_text())["method"] == "minmax"


def test_a_second_file_replaces_the_first_but_no_foreign_one(tmp_path) -> None:
    path = tmp_path / "ranges.json"
    for high in (1.0, 2.0):
        ranges.write(path, {"a": [-1.0, high]}, {"method": "minmax"})
    assert ranges.read(path)["tensors"] == {"a": [-1.0, 2.0]}
    path.write_text("precious")
    with pytest.raises(EdgeError, match="was not written by emotion-edge"):
        ranges.write(path, {}, {})
    assert path.read_text() == "precious"
    ranges.write(path, {}, {}, force=True)
    assert ranges.read(path)["tensors"] == {}


def test_methods() -> None:
    seen = {"x": ranges.Histogram()}
    seen["x"].add(np.linspace(0, 1, 10_001, dtype=np.float32))
    assert ranges.summarize(seen, "minmax")["x"] == [0, 1]
    low, high = ranges.summarize(seen, "percentile-99")["x"]
    assert high == pytest.approx(0.99, abs=2e-3)
    assert low == pytest.approx(0.01, abs=2e-3)
    with pytest.raises(EdgeError, match="unknown"):
        ranges.summarize(seen, "entropy")


def test_states_are_rolled_forward(tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    import tiny

    model = onnx.load_model_from_string(tiny.MODEL)
    faces = np.full((10, 1, 8, 8), 0.5, np.float32)
    seen = ranges.observe(model, [bundles.StateTensor("state_h", "new_state_h", (2,))], [faces, faces])
    assert seen["state_h"].high == pytest.approx(4.5), "nine steps of 0.5, and from zero again"
    assert seen["state_h"].low == 0
    assert seen["logits"].high == pytest.approx(5.0)

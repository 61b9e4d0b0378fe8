"""The peaks: which kernels are measured, and which result counts."""

from __future__ import annotations

import pytest

from benchmarks.machine import peaks


@pytest.mark.export
def test_the_network_s_kernels_and_the_saturating_ones_are_both_measured() -> None:
    pytest.importorskip("onnx")
    work = peaks.work({("u8", 1), ("float32", 2)})
    kinds = {" ".join(name.split()[2:4]) for name in work if name.startswith("peak product")}
    assert kinds == {"u8 1", "u8-saturating 1", "float32 2"}


def test_the_best_of_all_sizes_is_the_peak() -> None:
    medians = {
        "peak copy": 10.0, "peak product u8 1 256": 1.0, "peak product u8 1 512": 4.0, "a step": 3.0,
    }  # fmt: skip
    assert peaks.rates(medians) == pytest.approx(
        {"copy": 2 * peaks.COPIED_BYTES / 0.01, "u8 1": 512**3 / 4e-3}
    )

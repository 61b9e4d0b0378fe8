"""Shares of the processor's peak are shares: measured in one run, none above the peak."""

import pytest

from edge import bundle as bundles

pytestmark = pytest.mark.export
pytest.importorskip("onnx")

from benchmarks import gemm  # noqa: E402


def test_every_precision_is_a_share_of_the_peak(monkeypatch) -> None:
    monkeypatch.setattr(gemm, "SECONDS", 0.02)
    found = gemm.rates(bundles.load(bundles.REFERENCE))
    assert set(found) == {"peak", *(f"{p}, {n} at once" for p in ("fp32", "int8-cpu") for n in (1, 8))}
    assert all(0 < rate <= 1.2 * found["peak"] for rate in found.values())
    assert found["int8-cpu, 1 at once"] > found["fp32, 1 at once"]

"""The luma path beside the BGR path: whoever shows a clip to both gets the same faces."""

from benchmarks.studies import luma
from edge import config_file
from edge.capture import demo


def test_the_demo_on_luma(monkeypatch) -> None:
    monkeypatch.setattr(demo, "DURATION_S", 75 / demo.FPS)
    pairs = luma.pairs("demo", config_file.load(None, ["bundle.precision=fp32"]))
    estimates, matched, same, warm, same_warm, likeliest = luma.counts(pairs)
    assert estimates >= 20
    assert matched >= 0.95 * estimates
    assert same >= 0.95 * matched
    assert warm - same_warm <= matched - same
    assert same <= matched
    assert likeliest <= matched

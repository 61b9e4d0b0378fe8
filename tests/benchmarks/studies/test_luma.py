"""The luma path beside the BGR path: whoever shows a clip to both gets the same faces."""

from benchmarks.studies import luma
from edge import config
from edge.capture.demo import DemoSource


def test_the_demo_on_luma(monkeypatch, capsys) -> None:
    class Start(DemoSource):
        def __init__(self, address: str) -> None:
            super().__init__()
            self.frame_count = 75

    monkeypatch.setattr(luma, "OpenCVSource", Start)
    found, kept, same = luma.compare("demo", config.load(None, ["bundle.precision=fp32"]))
    assert found >= 20
    assert kept >= 0.95 * found
    assert same >= 0.95 * kept

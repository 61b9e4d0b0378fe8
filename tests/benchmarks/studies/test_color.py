"""The cost of color: it is measured beside luma, and it is not less."""

from __future__ import annotations

from benchmarks.studies import color
from edge import config_file


def test_color_costs_more_than_luma() -> None:
    table = color.measure(config_file.load(None, ["detector.kind=haar"]), rounds=9)
    assert set(table) == {"MJPG", "YUYV", "NV12"}
    for camera, kinds in table.items():
        assert kinds["BGR"][0] > kinds["luma"][0], f"{camera}: the frame is converted, or decoded whole"
        assert kinds["BGR"][2] > kinds["luma"][2], f"{camera}: three channels are warped"

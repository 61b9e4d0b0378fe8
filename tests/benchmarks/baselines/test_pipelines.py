"""The peers: when they detect and classify, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from benchmarks.baselines import pipelines
from benchmarks.commands import peers
from edge.errors import BundleError, ConfigError


def test_a_peer_looks_in_its_turn_and_classifies_in_every_frame() -> None:
    looked, classified = [], []
    pictures = [np.full((4, 4, 3), value, np.uint8) for value in range(3)]

    def find(picture: Any) -> list[tuple[int, ...]]:
        looked.append(int(picture[0, 0, 0]))
        return [(0, 0, 4, 4), (1, 1, 2, 2)]

    call = pipelines.step(find, lambda picture, box: classified.append(int(picture[0, 0, 0])), pictures, 2)
    assert peers.faces_a_frame(call, 1) == 2
    assert looked == [0, 2, 1], "there and back"
    assert classified == [0, 0, 1, 1, 2, 2, 2, 2, 1, 1, 0, 0]


def test_a_wrong_peer_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--peer takes \(N,1,64,64\) faces"):
        pipelines.MiniXception(tiny.write(tmp_path) / "model.fp32.onnx")
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(BundleError, match=r"no\.onnx does not run .*; give another one"):
        pipelines.MiniXception(tmp_path / "no.onnx")
    with pytest.raises(BundleError, match="not a YuNet file that OpenCV can read"):
        pipelines.YuNet(tmp_path / "no.onnx", 640, 480)
    with pytest.raises(ConfigError, match=r"nowhere\.onnx is no file"):
        pipelines.MiniXception(tmp_path / "nowhere.onnx")

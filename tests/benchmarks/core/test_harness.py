"""What the harness refuses to measure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.core import harness
from edge.errors import EdgeError


def test_what_stands_in_for_tensorrt_is_not_measured() -> None:
    with pytest.raises(EdgeError, match="run `emotion-edge engine`"):
        harness._refuse_standby(SimpleNamespace(serves="fp32 on ONNX Runtime"))
    harness._refuse_standby(SimpleNamespace(serves="int8 on TensorRT"))

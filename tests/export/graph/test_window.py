"""Files that are no window graph, each told in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.export
pytest.importorskip("onnx")

from edge.errors import EdgeError  # noqa: E402
from export.graph import window  # noqa: E402


@pytest.mark.parametrize(("kind", "fault"), [("empty", "it is empty"), ("folder", "Is a directory")])
def test_a_path_without_a_graph_is_told_without_words_of_a_library(
    kind: str, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / kind
    path.mkdir() if kind == "folder" else path.touch()
    message = f"{path} is not a usable ONNX file ({fault}); export it again"
    with pytest.raises(EdgeError, match=re.escape(message)):
        window.load(path)

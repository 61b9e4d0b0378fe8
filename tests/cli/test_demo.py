"""The demo can be run again into its folder, and replaces nothing else there."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from edge.__main__ import main

pytest.importorskip("av", reason="clips need the extra [files]")
pytest.importorskip("matplotlib", reason="the picture needs the extra [demo]")


def test_a_second_demo_works_as_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["demo", "--out", str(out), "--bundle", str(tiny.write(tmp_path / "b"))]
    words += ["--set", "output.max_frames=5", "--set", "detector.kind=haar"]
    for _ in range(2):
        assert main(words) == 0
        names = sorted(path.name for path in out.iterdir())
        assert names == ["annotated.mp4", "estimates.jsonl", "trajectory.png"]
    (out / "trajectory.png").write_text("precious")
    assert main(words) == 2
    assert "trajectory.png exists and was not written by emotion-edge" in capsys.readouterr().err
    assert (out / "trajectory.png").read_text() == "precious"
    assert main([*words, "--force"]) == 0

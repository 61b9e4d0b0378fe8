"""Pages and plots that a user names are judged before hours of work."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import tiny

from edge.errors import ConfigError

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from export.commands import sensitivity, verify  # noqa: E402


def parsed(command, *words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    return parser.parse_args([str(word) for word in words])


def test_a_foreign_page_stays(tmp_path: Path) -> None:
    bundle, page = tiny.write(tmp_path / "b"), tmp_path / "mine.html"
    page.write_text("precious")
    with pytest.raises(ConfigError, match="was not written by emotion-edge"):
        verify.run(parsed(verify, bundle, "--page", page))
    with pytest.raises(ConfigError, match=r"--page is .*, which is also a file of the bundle"):
        verify.run(parsed(verify, bundle, "--page", bundle / "manifest.json", "--force"))
    assert page.read_text() == "precious"


def test_a_foreign_plot_stays(tmp_path: Path) -> None:
    bundle, plot = tiny.write(tmp_path / "b"), tmp_path / "mine.png"
    plot.write_text("precious")
    given = [bundle, "--ranges", tmp_path / "r.json", "--data", tmp_path / "none"]
    with pytest.raises(ConfigError, match="was not written by emotion-edge"):
        sensitivity.run(parsed(sensitivity, *given, "--plot", plot))
    assert plot.read_text() == "precious"

"""The files of a report are judged before anything is measured."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import runner
from benchmarks.core.report import figure, measurement, report
from benchmarks.core.report_files import report_files
from edge.errors import ConfigError


def parsed(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?")
    runner.add_options(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_foreign_file_stays_and_nothing_is_measured(tmp_path: Path, option: str) -> None:
    path = tmp_path / "mine"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="was not written by emotion-edge"):
        runner.measure("selftest", lambda _: pytest.fail("it ran"), parsed(option, path))
    assert path.read_text() == "precious"


def test_a_second_report_replaces_the_first_and_force_a_foreign_file(tmp_path: Path) -> None:
    made = report("pipeline", {}, [measurement("frame", [[1.0]])], [figure("rate", 1.0)])
    json, html = tmp_path / "a.json", tmp_path / "a.html"
    html.write_text("precious")
    for words in (["--force"], []):
        assert runner.measure("pipeline", lambda _: made, parsed("--json", json, "--html", html, *words)) == 0
    assert json.read_text().startswith('{"schema": "emotion-bench/1"')
    assert "generator" in html.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json"]


def test_the_source_is_no_report(tmp_path: Path) -> None:
    source, link = tmp_path / "clip.mp4", tmp_path / "link"
    source.write_text("precious")
    link.hardlink_to(source)
    args = parsed(source, "--json", link, "--force")
    with pytest.raises(ConfigError, match=r"--json is .*link, which is also the source that is read"):
        report_files(args).__enter__()
    assert source.read_text() == "precious"


def test_nor_is_one_of_several_videos(tmp_path: Path) -> None:
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        video.write_text("precious")
    given = argparse.Namespace(video=videos, json=videos[1], html=None, force=True)
    with pytest.raises(ConfigError, match="which is also the video that is read"):
        report_files(given).__enter__()

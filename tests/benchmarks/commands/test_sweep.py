"""The sweep: its cases, its bounds, whole turns of the detector, and the threads that it says it used."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import tiny

from benchmarks.commands import sweep
from benchmarks.commands.sweep import Case
from benchmarks.core import harness
from edge import bundle as bundles
from edge import session
from edge.config import Config
from edge.engines import selection
from edge.engines.machine_cache import remember
from edge.engines.measure import Choice


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    sweep.add_options(parser)
    return parser.parse_args(words)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny bundle, for which `check` has found three threads to be fastest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tiny.write(tmp_path / "bundle")
    known = Choice("onnxruntime", "fp32", 3, "a test")
    remember(bundles.load(folder), known, selection.traits(selection.backends_here(Config())))
    return folder


def test_every_number_of_faces_in_every_size_on_every_number_of_threads() -> None:
    words = [
        "--faces",
        "0",
        "--faces",
        "2",
        "--faces",
        "2",
        "--size",
        "320x240",
        "--threads",
        "2",
        "--threads",
        "1",
    ]
    assert list(map(str, sweep.cases(options(*words)))) == [
        "faces 0, 320x240, threads 2", "faces 2, 320x240, threads 2",
        "faces 0, 320x240, threads 1", "faces 2, 320x240, threads 1",
    ]  # fmt: skip
    assert len(sweep.cases(options())) == 4 * 3 * 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--faces", "-1"], "-1 is not 0 to 64"),
        (["--faces", "65"], "65 is not 0 to 64"),
        (["--faces", "few"], "--faces"),
        (["--threads", "-2"], "-2 is not 1 or more"),
        (["--threads", "0"], "0 is not 1 or more"),
    ],
)
def test_numbers_out_of_bounds_are_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options(*words)
    assert told in capsys.readouterr().err


def test_every_face_gets_its_step() -> None:
    assert sweep.with_budget(Config(), 12).budget.faces == 12
    assert sweep.with_budget(Config(), 1).budget.faces == Config().budget.faces


def test_a_further_face_is_told_only_where_the_faces_shown_were_found() -> None:
    one, four, eight, other = (Case(n, "a", t) for n, t in ((1, 1), (4, 1), (8, 1), (4, 2)))
    ms = {one: 2.0, four: 3.5, eight: 9.0, other: 1.0}
    seen = {one: 1.0, four: 4.0, eight: 7.0, other: 4.0}
    assert [(row["name"], row["value"]) for row in sweep.further(ms, seen)] == [
        ("each further face: faces 4, a, threads 1", 0.5),
        ("each further face: faces 8, a, threads 1", None),
    ]
    assert sweep.mismatches(seen) == ["faces 8, a, threads 1: 7 faces were found"]


def test_threads_and_precision_are_those_asked_for_whatever_was_remembered(bundle: Path) -> None:
    config = harness.settings(argparse.Namespace(bundle=str(bundle), precision=None, config=None, set=[]))
    with session.parts(config) as parts:
        assert parts.engine.threads == 3, "the remembered choice is there"
    on_two = harness.on_threads(config, 2)
    with session.parts(on_two) as parts:
        assert parts.engine.threads == 2
    assert on_two.bundle.precision == "fp32"


def test_a_sample_is_a_whole_turn_of_the_detector_on_the_threads_of_its_name(bundle: Path) -> None:
    words = [
        "--faces",
        "0",
        "--faces",
        "1",
        "--size",
        "320x240",
        "--threads",
        "1",
        "--threads",
        "2",
        "--seconds",
        "0.01",
    ]
    made = sweep.run(options(*words, "--bundle", str(bundle), "--set", "detector.kind=haar"))
    assert [row["name"] for row in made["measurements"]] == [
        "faces 0, 320x240, threads 1", "faces 1, 320x240, threads 1",
        "faces 0, 320x240, threads 2", "faces 1, 320x240, threads 2",
    ]  # fmt: skip
    assert made["fingerprint"]["setup"]["threads"] == [1, 2]
    assert made["notes"] == ["a sample is the mean of 21 frames, one turn of the detector"]

"""Every benchmark from outside: what it prints, the report it leaves, the page, and wrong words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import tiny

from benchmarks.report import schema

SHORT = {
    "pipeline": ["--frames", "60"],
    "model": ["--precision", "fp32", "--faces", "1", "--faces", "2", "--seconds", "0.01"],
    "age": ["--seconds", "3", "--fps", "60"],
    "sweep": ["--faces", "0", "--faces", "1", "--size", "320x240", "--threads", "1", "--seconds", "0.01"],
    "soak": ["--minutes", "0.1", "--idle", "0"],
    "start": ["--runs", "1"],
    "selftest": ["--seconds", "0.01"],
    "peers": ["--frames", "20", "--seconds", "0.01"],
}
NEEDS_NO_BUNDLE = ("selftest",)


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)], capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("bundle"))


@pytest.mark.parametrize("kind", SHORT)
def test_a_benchmark_leaves_a_report_that_fits_its_schema(kind: str, bundle: Path, tmp_path: Path) -> None:
    if kind == "peers":
        pytest.importorskip("onnx")
    out, words = tmp_path / "out.json", list(SHORT[kind])
    if kind == "model":
        words.append(str(bundle))
    elif kind not in NEEDS_NO_BUNDLE:
        words += ["--bundle", str(bundle), "--set", "detector.kind=haar"]
    done = bench(kind, *words, "--json", out, "--html", tmp_path / "out.html")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    made = json.loads(out.read_text("utf-8"))
    jsonschema.validate(made, schema())
    assert made["kind"] == kind
    assert made["measurements"], "raw samples are kept"
    assert all(entry["name"] in done.stdout for entry in made["figures"])
    assert str(tmp_path) not in out.read_text("utf-8"), "a report tells nothing of this machine's folders"
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "<svg" in page
    assert "<script" not in page


def test_stages_reconcile_with_the_whole(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = [
        "--bundle",
        bundle,
        "--set",
        "detector.kind=haar",
        "--frames",
        "120",
        "--every-frame",
        "--json",
        out,
    ]
    assert bench("pipeline", *words).returncode == 0
    made = json.loads(out.read_text("utf-8"))
    found = {entry["name"]: entry["value"] for entry in made["figures"]}
    assert 0.98 <= found["sum of the stages"] <= 1.0
    names = {entry["name"] for entry in made["measurements"]}
    assert {"frame", "decode", "detect", "track", "crop", "network", "decide", "publish"} <= names


def test_the_plain_question(bundle: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "fps.py"
    words = ["--bundle", bundle, "--set", "detector.kind=haar", "--frames", "60"]
    done = subprocess.run(
        [sys.executable, str(script), *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "frames a second, decoding included" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pipeline", "nowhere.mp4"], "nowhere.mp4"),
        (["sweep", "--size", "640"], "640x480"),
        (["model", "nowhere"], "manifest.json is missing"),
        (["model", "--faces", "0"], "1 or more"),
        (["age", "--fps", "0"], "--fps"),
        (["pipeline", "--frames", "0"], "--frames"),
        (["soak", "--minutes", "0"], "--minutes"),
        (["start", "--runs", "0"], "--runs"),
        (["selftest", "--json", "no/such/folder/out.json"], "no folder"),
        (["compare", "nowhere.json", "nowhere.json"], "nowhere.json"),
        (["peers", "--video", "nowhere.mp4"], "nowhere.mp4"),
    ],
)
def test_a_wrong_word_is_one_line(words: list[str], told: str) -> None:
    done = bench(*words)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error:" in line]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = bench("selftest", "--seconds", "0.01", "--json", tmp_path / "out.json")
    assert done.returncode == 2
    assert "cannot write" in done.stderr

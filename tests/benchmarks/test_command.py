"""Every benchmark from outside: what it prints, the report it leaves, the page, and wrong words."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tiny

from benchmarks import runner
from benchmarks.core.report import figure, measurement, report, schema
from benchmarks.machine.sensors import Sensors
from edge.errors import DependencyError
from edge.system.progress import Bar, with_progress

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


def bench(*words: object, **environ: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)], capture_output=True, text=True, timeout=300,
        env=os.environ | {name: str(value) for name, value in environ.items()},
    )  # fmt: skip


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
    # Beside other work the delays of the selftest are late: then it says so, and that is right.
    late = kind == "selftest" and "not kept" in done.stdout
    assert done.returncode == int(late), done.stderr
    assert "Traceback" not in done.stderr
    made = json.loads(out.read_text("utf-8"))
    jsonschema.validate(made, schema())
    assert made["kind"] == kind
    assert made["measurements"], "raw samples are kept"
    assert {"load_1min_before", "load_1min_after"} <= made["fingerprint"].keys()
    assert all(entry["name"] in done.stdout for entry in made["figures"])
    assert str(tmp_path) not in out.read_text("utf-8"), "a report tells nothing of this machine's folders"
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "<svg" in page
    assert "<script" not in page
    if kind != "selftest":
        assert not [entry["name"] for entry in made["figures"] if entry["asked"]], "goals are the reader's"
        assert not re.search(r"\b(?:missed|met|asked|goal)\b", done.stdout + page)


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
    assert 0 <= found["sum of the stages, off the whole"] <= 0.02
    names = {entry["name"] for entry in made["measurements"]}
    assert {"frame", "decode", "detect", "track", "crop", "network", "decide", "publish"} <= names


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pipeline", "nowhere.mp4"], "nowhere.mp4"),
        (["sweep", "--size", "640"], "640x480"),
        (["model", "nowhere"], "manifest.json is missing"),
        (["model", "--faces", "0"], "1 or more"),
        (["age", "--fps", "0"], "--fps"),
        (["pipeline", "--frames", "0"], "--frames"),
        (["pipeline", "--frames", "few"], "--frames: few is not a whole number"),
        (["soak", "--minutes", "long"], "--minutes: long is not a number above 0"),
        (["compare", "/proc/self/stat", "/dev/null"], "is not JSON"),
        (["soak", "--minutes", "0"], "--minutes"),
        (["start", "--runs", "0"], "--runs"),
        (["selftest", "--json", "no/such/folder/out.json"], "does not exist"),
        (["selftest", "--json", "/"], "is a folder"),
        (["selftest", "--html", "/tmp"], "is a folder"),
        (["selftest", "--json", "/proc/out.json"], "cannot"),
        (["selftest", "--json", "a", "--html", "./a"], "two files"),
        (["compare", "nowhere.json", "nowhere.json", "--json", "/"], "is a folder"),
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
    assert "not writable" in done.stderr


@pytest.mark.parametrize(("library", "extra"), [("matplotlib", "demo"), ("jinja2", "bench")])
def test_without_a_library_of_the_page_nothing_is_measured(library: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError('none here')")
    # A measurement would take ten hours.
    done = bench("selftest", "--seconds", 720, "--html", tmp_path / "out.html", PYTHONPATH=tmp_path)
    assert done.returncode == 2
    assert f"emotion-edge[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_scipy_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)  # so it is not found, either
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    args = argparse.Namespace(json=None, html=None)
    with pytest.raises(DependencyError, match=r"emotion-edge\[bench\]"):
        runner.measure("selftest", lambda _: pytest.fail("it ran"), args)


def made(value: float, **more: Any) -> dict[str, Any]:
    rows = [measurement("frame", [[1.0]])]
    return report("selftest", {}, rows, [figure("error", value, "", "<= 1")], **more)


@pytest.mark.parametrize(("value", "code"), [(0.9, 0), (1.1, 1)])
def test_the_selftest_ends_with_1_where_it_misses(value: float, code: int) -> None:
    args = argparse.Namespace(json=None, html=None)
    assert runner.measure("selftest", lambda _: made(value), args) == code
    assert runner.measure("pipeline", lambda _: made(value), args) == 0, "elsewhere a limit is no fault"


def test_the_selftest_counts_every_frame(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    bench("selftest", "--seconds", "0.001", "--json", out)
    found = {one["name"]: one for one in json.loads(out.read_text("utf-8"))["figures"]}
    assert found["frames neither done nor counted as dropped"]["value"] == 0
    assert found["share dropped"]["value"] >= 0.6  # two of three; the first two frames are always taken
    assert found["p50 of age, less 5 ms of work"]["value"] >= 0


def test_a_report_has_what_the_sensors_said(tmp_path: Path) -> None:
    args = argparse.Namespace()
    assert "sensors" not in runner.with_sensors(lambda _: made(1), args, Sensors(tmp_path))
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("soc\n")
    (zone / "temp").write_text("51000\n")
    found = runner.with_sensors(lambda _: made(1), args, Sensors(tmp_path))["sensors"]
    assert [sample["temperature_c"] for sample in found] == [51, 51]
    own = [{"time_s": 0}]
    assert runner.with_sensors(lambda _: made(1, sensors=own), args, Sensors(tmp_path))["sensors"] == own


class Watched:
    """A terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_a_bar_is_drawn_where_someone_watches() -> None:
    terminal = Watched()
    with redirect_stderr(terminal):
        with Bar(20.0, "seconds") as bar:
            bar.at(9.8)
            bar.at(30.2)
        assert "] 10/20 seconds" in terminal.text
        assert f"[{'#' * 30}] 30/20 seconds" in terminal.text.splitlines()[-1]
        terminal.text = ""
        assert list(with_progress("abc", 3, "letters")) == ["a", "b", "c"]
        assert "] 3/3 letters" in terminal.text
        terminal.text = ""
        with Bar(None, "frames") as bar:
            bar.at(3)
        assert list(with_progress("abc", None)) == ["a", "b", "c"]
        assert terminal.text == "", "of unknown length"

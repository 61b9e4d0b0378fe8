"""The table of outputs: what is set is opened, a service makes no pictures, others may add event sinks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import Config
from edge.config_file import load
from edge.errors import ConfigError
from edge.sinks import outputs

# What another package ships: a module and, in its metadata, an entry point that names a row of the table.
PLUGIN = """
import json
from dataclasses import dataclass
from edge.config import setting
from edge.sinks.outputs import SinkPart
from edge.system.closing import Closing


@dataclass(frozen=True)
class CountSettings:
    path: str = setting("", "where the count goes")
    step: int = setting(1, "counted for each event", low=1, high=10)
    plain: int = 0


class CountSink(Closing):
    def __init__(self, settings):
        self._settings, self._count = settings, 0

    def write(self, events):
        self._count += self._settings.step * len(events)

    def close(self):
        with open(self._settings.path, "w") as file:
            json.dump(self._count, file)


COUNT = SinkPart("count", CountSink, CountSettings, "nothing", "how many events there were")
PICTURES = SinkPart("peek", CountSink, CountSettings, "nothing", "pictures", pictures=True)
"""


def names(*overrides: str) -> list[str]:
    return [part.name for part in outputs.wanted(load(None, overrides).output)]


def test_what_is_set_is_wanted_and_an_empty_path_is_none() -> None:
    assert names() == []
    assert names("output.jsonl=-", "output.annotate=a.mp4") == ["jsonl", "annotate"]
    assert names("output.jsonl=-", "output.jsonl=") == []
    assert names("output.jsonl.path=a") == names("output.jsonl={path = 'a'}") == ["jsonl"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "output.jsnl=a",
            "unknown key output.jsnl; .output. has jsonl, annotate, trajectory and every_frame",
        ),
        ("output.annotate=-", "output.annotate is -, but it writes a file only"),
        ("output.jsonl=[1]", r"output.jsonl.path is \[1\], expected text"),
        ("output.jsonl.pth=a", r"unknown key output.jsonl.pth; \[output.jsonl\] has path"),
    ],
)
def test_wrong_outputs_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        names(override)


def test_a_service_makes_no_pictures_unless_it_may(monkeypatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@somebody")
    assert names("output.jsonl=a") == ["jsonl"]
    for key in ("annotate", "trajectory"):
        with pytest.raises(ConfigError, match=rf"output.{key} writes pictures.*set output\.pictures = true"):
            names(f"output.{key}=a")
        assert names(f"output.{key}=a", "output.pictures=true") == [key]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder on the path with the module and the metadata of another package."""
    (tmp_path / "counting.py").write_text(PLUGIN)
    about = tmp_path / "counting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[{outputs.GROUP}]\ncount = counting:COUNT\npeek = counting:PICTURES\n"
    )
    return tmp_path


def run(plugin: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "edge",
        "run",
        "demo",
        "--max-frames",
        "45",
        "--jsonl",
        str(plugin / "a"),
    ]
    path = [str(plugin), *(word for word in sys.path if word)]
    return subprocess.run(
        [*command, "--jsonl", str(plugin / "a"), "--set", "detector.kind=haar", *words],
        env={"PYTHONPATH": ":".join(path), "XDG_CACHE_HOME": str(plugin)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_another_package_adds_an_event_sink(plugin: Path) -> None:
    done = run(
        plugin,
        "--set",
        f"output.count.path={plugin}/count.json",
        "--set",
        "output.count.step=2",
        "--set",
        "output.count.plain=3",
    )
    assert done.returncode == 0, done.stderr
    lines = (plugin / "a").read_text().splitlines()
    assert json.loads((plugin / "count.json").read_text()) == 2 * len(lines) > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "output.count.step=11"], "output.count.step is 11, expected 1 to 10"),
        (["--set", "output.peek=a"], "entry point peek of emotion_edge.sinks is"),
    ],
)
def test_its_settings_are_checked_and_it_sees_no_pictures(
    plugin: Path, words: list[str], message: str
) -> None:
    done = run(plugin, *words)
    assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_nothing_is_written_where_nothing_is_set() -> None:
    assert outputs.open_sinks(Config().output, live=False) == []


def test_force_reaches_the_outputs_that_know_it() -> None:
    output = load(None, ["output.force=true", "output.jsonl=a", "output.trajectory={path='b', force=false}"])
    forced = {part.name: own.force for part, own in outputs.wanted(output.output).items()}
    assert forced == {"jsonl": True, "trajectory": False}

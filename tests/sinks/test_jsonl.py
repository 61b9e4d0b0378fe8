"""One JSON object per estimate, in the promised form, flushed, and a clean end on a closed pipe."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contracts import check_event_sink
from estimates import estimate
from full_disk import full_disk

from edge.data import Frame
from edge.errors import ConfigError, EdgeError, SinkClosed
from edge.events import EstimateEvent
from edge.sinks.jsonl import JsonlSink
from edge.sinks.outputs import EventWriter

ROOT = Path(__file__).parents[2]
LABELS = ("neutral", "happiness", "überrascht")
FRAME = Frame(np.zeros((48, 64), np.uint8), 1.23456, 7)
ESTIMATE = estimate(
    (0.1, 0.65432, 0.24568),
    LABELS,
    track_id=3,
    timestamp_s=1.23456,
    box_xyxy=np.array([1.26, 2, 30.04, 40], np.float32),
)
EVENT = EstimateEvent.of(FRAME, ESTIMATE, None)
EXPECTED = {
    "schema": "emotion-edge/1",
    "timestamp_s": 1.2346,
    "frame": 7,
    "track_id": 3,
    "box": [1.3, 2.0, 30.0, 40.0],
    "label": "happiness",
    "label_since_s": None,
    "uncertain_since_s": None,
    "probabilities": {"neutral": 0.1, "happiness": 0.6543, "überrascht": 0.2457},
    "warm": True,
    "fresh": True,
}

EARLIER = '{"schema": "emotion-edge/1", "of": "an earlier run"}\n'


def test_contract_and_form(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(EARLIER)
    check_event_sink(JsonlSink(str(path)), [EVENT])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [EXPECTED, EXPECTED]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_no_line_holds_what_is_no_json(tmp_path: Path, wrong: float) -> None:
    path = tmp_path / "out.jsonl"
    event = EstimateEvent.of(FRAME, estimate((wrong, 0, 0), LABELS), None)
    with JsonlSink(str(path)) as sink, pytest.raises(EdgeError, match="jsonl holds NaN or infinity"):
        sink.write([event])
    assert path.read_text() == ""


@pytest.mark.parametrize(("every_frame", "lines"), [(False, [3]), (True, [3, 4])])
def test_stale_estimates_are_left_out_unless_asked_for(
    every_frame: bool, lines: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with EventWriter([JsonlSink("-")], every_frame) as sink:
        sink.write(FRAME, [ESTIMATE, replace(ESTIMATE, track_id=4, fresh=False)])
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["track_id"] for row in written] == lines
    assert [row["fresh"] for row in written] == [True, False][: len(lines)]


def test_a_line_is_there_at_once(tmp_path: Path) -> None:
    with JsonlSink(str(tmp_path / "out.jsonl")) as sink:
        sink.write([EVENT])
        assert json.loads((tmp_path / "out.jsonl").read_text()) == EXPECTED


def test_an_existing_file_stands_until_the_run_begins(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(EARLIER)
    JsonlSink(str(path))
    assert path.read_text() == EARLIER


@pytest.mark.parametrize("left", ["", EARLIER, '{"schema": "emo'])
def test_under_a_supervisor_the_file_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/none")
    path = tmp_path / "out.jsonl"
    path.write_text(left)
    for _ in range(2):
        with JsonlSink(str(path)) as sink:
            sink.write([EVENT])
    *before, first, second = path.read_text().splitlines()
    assert before == left.splitlines()
    assert json.loads(first) == json.loads(second) == EXPECTED


def test_a_foreign_file_stands_even_under_a_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="was not written by emotion-edge"):
            JsonlSink(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", "/run/none")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert path.read_text() == "precious\n"
    check_event_sink(JsonlSink(str(path), force=True), [EVENT])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [EXPECTED, EXPECTED]


def test_a_second_run_on_one_file_is_refused_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    second = JsonlSink(str(path))
    with JsonlSink(str(path)) as sink:
        sink.write([EVENT])
        with pytest.raises(ConfigError, match="is being written by another run"):
            second.__enter__()
        sink.write([EVENT])
    assert len(path.read_text().splitlines()) == 2


def test_on_a_full_disk_whole_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    line = len(json.dumps(EVENT.to_dict())) + 1
    with full_disk(2 * line + 20), pytest.raises(ConfigError, match=r"out\.jsonl cannot be written"):
        check_event_sink(JsonlSink(str(path)), [EVENT, EVENT])
    assert [json.loads(text) for text in path.read_text().splitlines()] == [EXPECTED, EXPECTED]


def test_a_pipe_waits_for_its_reader_and_can_be_interrupted(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with pytest.raises(KeyboardInterrupt):
            JsonlSink(str(fifo)).__enter__()
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with pytest.raises(KeyboardInterrupt), JsonlSink(str(fifo)) as sink:
            sink.write([EVENT] * 1000)  # more than a pipe holds, and the reader takes nothing
        os.close(reader)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mkdir -p"):
        JsonlSink(str(tmp_path / "none" / "out.jsonl"))
    with pytest.raises(ConfigError, match="is a folder"):
        JsonlSink(str(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(ConfigError, match="No space left"), JsonlSink("/dev/full") as sink:
        sink.write([EVENT])


def test_a_pipe_without_a_reader_ends_the_run(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with JsonlSink(str(fifo)) as sink:
        os.close(reader)
        with pytest.raises(SinkClosed):
            sink.write([EVENT])


def test_stdout_into_head_leaves_no_complaint() -> None:
    program = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_jsonl import EVENT, JsonlSink, SinkClosed
try:
    with JsonlSink("-") as sink:
        while True:
            sink.write([EVENT])
except SinkClosed:
    sys.exit(0)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    with child, child.stdout as out, child.stderr as err:
        assert json.loads(out.readline()) == EXPECTED
        out.close()
        complaint = err.read()
    assert (child.returncode, complaint) == (0, b"")


def test_lines_that_are_not_there_at_the_end_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"

    def run(meanwhile: Callable[[], object]) -> str:
        caplog.clear()
        with JsonlSink(str(path)) as sink:
            sink.write([EVENT])
            meanwhile()
        return caplog.text

    with pytest.raises(ConfigError, match=r"a\.jsonl was removed during the run, with its lines; run again"):
        run(path.unlink)
    assert "was moved or replaced during the run" in run(lambda: path.rename(tmp_path / "b.jsonl"))
    monkeypatch.setenv("NOTIFY_SOCKET", "/none")  # a service goes on where files are rotated
    assert "was removed during the run, with its lines" in run(path.unlink)


def test_a_disk_that_fails_at_the_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pulled_out(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "a.jsonl"
    sink = JsonlSink(str(path)).__enter__()
    monkeypatch.setattr(os, "fsync", pulled_out)
    with pytest.raises(ConfigError, match=r"a\.jsonl cannot be written \(Input/output error\)"):
        sink.close()


def test_a_file_that_may_only_be_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path / "a.jsonl"
    path.touch()
    monkeypatch.setattr(os, "ftruncate", refused)
    with JsonlSink(str(path)) as sink:
        sink.write([EVENT])
    with pytest.raises(ConfigError, match=r"a\.jsonl cannot be emptied \(Operation not permitted\)"):
        JsonlSink(str(path)).__enter__()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_under_standard_output_is_one_line_and_code_2() -> None:
    command = [sys.executable, "-m", "edge", "run", "demo", "--jsonl", "-", "--precision", "fp32"]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # the interpreter tries again at exit
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 2
    assert "output - cannot be written (No space left on device)" in done.stderr.splitlines()[-1]

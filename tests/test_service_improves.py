"""A run that measures in the background: the log, the supervisor and the health file say what serves."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from dataclasses import asdict
from itertools import count, islice
from pathlib import Path

import cv2
import pytest

from edge.__main__ import main
from edge.capture.demo import DemoSource
from edge.engines import improving
from edge.engines.improving import Improving
from edge.engines.measure import Choice

CHOICE = Choice("onnxruntime", "int8-cpu", 1, "0.84 ms per face")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of the demo."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480))
    for frame in islice(DemoSource().frames(), 120):
        writer.write(frame.image)
    writer.release()
    return path


@pytest.fixture
def words(clip: Path, tmp_path: Path, monkeypatch) -> list[str]:
    """A run on a machine that nobody has measured; the child only says what it would find."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(improving, "DELAY_S", 0.0)
    program = f"print({json.dumps(asdict(CHOICE))!r})"
    monkeypatch.setattr(improving, "command", lambda *_: [sys.executable, "-c", program])
    lines = str(tmp_path / "out.jsonl")
    return ["run", str(clip), "--set", "detector.kind=haar", "--jsonl", lines]


@pytest.fixture
def patient(monkeypatch) -> None:
    """The source waits at its 60th frame until the measured engine is loaded, however busy the machine is."""
    between_frames, frames, begun = Improving.between_frames, count(1), time.monotonic()

    def wait(engine: Improving) -> None:
        between_frames(engine)
        if next(frames) == 60:
            while engine._better is None and time.monotonic() < begun + 60:
                time.sleep(0.01)

    monkeypatch.setattr(Improving, "between_frames", wait)


@pytest.mark.usefixtures("patient")
def test_everybody_is_told_what_serves_now(
    words: list[str], clip: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"@emotion-edge-improves-{os.getpid()}"
        listener.bind(name.replace("@", "\0"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert main(words) == 0
        told = []
        while not told or told[-1] != "STOPPING=1":
            told.append(listener.recv(4096).decode())
    states = [text.partition("STATUS=")[2] for text in told if "STATUS=" in text]
    assert states == [f"{clip}, fp32 on ONNX Runtime", f"{clip}, int8-cpu on ONNX Runtime"]
    said = "measured in the background: int8-cpu on 1 thread: 0.84 ms per face; "
    assert capsys.readouterr().err.count(f"{said}int8-cpu on ONNX Runtime serves now") == 1
    estimates = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sum(line["label"] == "happiness" for line in estimates) > 20, "the states went on"


def test_a_named_precision_gives_the_same_lines_every_time(words: list[str], tmp_path: Path, capsys) -> None:
    texts = []
    for _ in range(2):
        assert main([*words, "--precision", "fp32", "--max-frames", "60"]) == 0
        texts.append((tmp_path / "out.jsonl").read_text())
    first, second = ([{**json.loads(line), "utc": None} for line in text.splitlines()] for text in texts)
    assert first
    assert first == second
    assert "measured in the background" not in capsys.readouterr().err

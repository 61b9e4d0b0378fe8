"""``emotion-edge aim`` from outside: on a terminal, into a pipe, with Ctrl-C, and that it leaves nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge.data import Frame

ROOT = Path(__file__).parents[2]
AIM = [sys.executable, "-m", "edge", "aim"]
HAAR = ["--set", "detector.kind=haar"]
SIZE = (60, 20)

pytest.importorskip("skimage", reason="the demo needs scikit-image and matplotlib")


class Terminal:
    """The program on a terminal of its own; what it wrote is in ``written``."""

    def __init__(
        self, *words: str, cwd: Path = ROOT, size: tuple[int, int] = SIZE, term: str = "xterm"
    ) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.resize(*size)
        environ = {**os.environ, "TERM": term, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [*AIM, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            cwd=cwd,
            start_new_session=True,
        )
        self.written = b""
        self._theirs = theirs
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                more = os.read(self.ours, 65536)
            except OSError:
                return
            self.written += more

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, sign: str, since: int = 0, within_s: float = 60) -> None:
        until_s = time.monotonic() + within_s
        while not re.search(sign.encode(), self.written[since:]):
            assert time.monotonic() < until_s, self.written[-2000:]
            time.sleep(0.05)

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        time.sleep(0.2)  # for the reader
        self.after = termios.tcgetattr(self._theirs)
        os.close(self._theirs)
        os.close(self.ours)
        return code


def drawings(written: bytes) -> list[list[str]]:
    """The lines of each drawing."""
    text = written.decode("ascii").split("\x1b[?1049h")[1].split("\x1b[?25h")[0]
    found = [re.sub(r"\x1b\[2K|\x1b\[J|\r", "", part) for part in text.split("\x1b[H")[1:]]
    return [part.rstrip("\n").split("\n") for part in found if part]


def test_a_terminal_shows_the_frame_and_is_as_before(tmp_path: Path) -> None:
    terminal = Terminal("demo", *HAAR, cwd=tmp_path)
    terminal.wait_for("face of 1[0-9][0-9] pixels")
    seen = len(terminal.written)
    terminal.resize(30, 6)
    terminal.wait_for(r"(?s)(\x1b\[H.*){9}", seen)
    narrow = len(terminal.written)
    terminal.resize(1, 1)
    time.sleep(0.5)
    assert terminal.end() == 130
    assert terminal.after == terminal.before, "the terminal was left in another mode"
    shown = drawings(terminal.written)
    assert max(len(line) for lines in shown for line in lines) <= SIZE[0]
    assert max(map(len, shown)) <= SIZE[1]
    assert any("#" in line for lines in shown for line in lines), "no box was drawn"
    small = drawings(b"\x1b[?1049h" + terminal.written[seen:narrow])[3:-1]  # the first may be of before
    assert len(small) > 3
    assert all(len(lines) <= 6 and max(map(len, lines)) <= 30 for lines in small), "the size did not follow"
    rest = terminal.written.decode().split("\x1b[?25h\x1b[?1049l")
    assert len(rest) == 2, "the other screen was not left, or more than once"
    assert "\x1b" not in rest[1]
    assert "interrupted; nothing is stored" in rest[1]
    assert "Traceback" not in rest[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ends_give_the_terminal_back(number: int) -> None:
    terminal = Terminal("demo", *HAAR)
    terminal.wait_for("frames/s")
    assert terminal.end(number) == 130
    assert b"\x1b[?25h\x1b[?1049l" in terminal.written


def test_an_error_is_one_line_and_no_drawing() -> None:
    terminal = Terminal("no_such.mp4")
    assert terminal.process.wait(60) == 2
    terminal.end()
    assert b"\x1b" not in terminal.written
    assert terminal.written.count(b"error:") == 1


def test_a_terminal_that_cannot_redraw_gets_lines() -> None:
    terminal = Terminal("demo", *HAAR, term="dumb")
    terminal.wait_for("frames/s")
    terminal.end()
    assert b"\x1b" not in terminal.written


def test_a_pipe_gets_a_line_a_second(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    started_s = time.monotonic()
    with subprocess.Popen(
        [*AIM, "demo", *HAAR],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environ,
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(5)]
        took_s = time.monotonic() - started_s
        child.stdout.close()  # as `| head -5` does
        assert child.wait(30) == 0
    assert took_s > 3.5
    assert all(line.startswith("640x480, ") and line.endswith("\n") for line in lines)
    assert re.search(r"1 face of \d+ px", "".join(lines))
    assert list(tmp_path.iterdir()) == []


def test_a_photograph_is_measured_once(tmp_path: Path) -> None:
    from skimage import data, io

    io.imsave(tmp_path / "a.png", data.astronaut())
    words = [*AIM, "a.png", *HAAR, "--set", "output.jsonl=out.jsonl"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("512x512, light ")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"], "an output was written"


def test_a_covered_lens_is_told(capsys, monkeypatch) -> None:
    """Bad frames come thirty times a second, and one line a second tells what they are."""
    from edge.cli import aim
    from edge.config import Config

    times = iter(range(10_000))
    monkeypatch.setattr(aim.time, "monotonic", lambda: next(times) / 30)
    shown = aim._Shown(Config())
    shown.bad = {"black": 0}
    for count in range(150):
        shown.bad["black"] = count
        shown.idle()
    lines = capsys.readouterr().out.splitlines()
    assert 3 <= len(lines) <= 6
    assert lines[-1] == "no frame yet; those that come are black"
    shown.show(Frame(np.full((48, 64), 90, np.uint8), 0.0, 0), [], 0)
    for _ in range(100):
        shown.idle()
    assert capsys.readouterr().out.splitlines()[-1].endswith(" s")

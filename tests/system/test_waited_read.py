"""What is handed over is read within bounds: from a file, a link or a pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge.system.checked_file import FileRefused
from edge.system.waited_read import read_waited


def test_a_file_a_link_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("a")
    assert read_waited(tmp_path / "link", 100_000, 0.0) == b"x" * 100_000
    assert read_waited("/dev/null", 10, 0.0) == b""
    with pytest.raises(FileRefused, match="has more than 99,999 bytes"):
        read_waited(tmp_path / "a", 99_999, 0.0)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/random", "/dev/tty0"])
def test_a_device_is_not_opened(path: str) -> None:
    if os.path.exists(path):
        with pytest.raises(FileRefused, match="is a device"):
            read_waited(path, 10, 0.0)


def test_others(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path, "is a folder"),
        (tmp_path / "none", "cannot be read"),
        ("a\0b", "cannot be"),
    ):
        with pytest.raises(FileRefused, match=why):
            read_waited(path, 10, 0.0)


def test_a_pipe_may_be_slow(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        time.sleep(0.2)
        with open(tmp_path / "pipe", "wb", buffering=0) as pipe:
            for piece in (b"one", b"two"):
                pipe.write(piece)
                time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_waited(tmp_path / "pipe", 6, 30.0) == b"onetwo"
    writer.join()


def test_a_pipe_that_stays_open_or_without_a_writer_ends_the_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began_s = time.monotonic()
    with pytest.raises(FileRefused, match=r"is a pipe that was not written to its end within 0\.1 s"):
        read_waited(tmp_path / "pipe", 10, 0.1)
    reading, writing = os.pipe()
    os.write(writing, b"x")
    with pytest.raises(FileRefused, match="not written to its end"):
        read_waited(f"/proc/self/fd/{reading}", 10, 0.1)
    assert time.monotonic() - began_s < 5
    os.close(reading)
    os.close(writing)


def test_a_pipe_without_end_is_bounded() -> None:
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        assert yes.stdout is not None
        with pytest.raises(FileRefused, match="has more than 1,000,000 bytes"):
            read_waited(f"/proc/self/fd/{yes.stdout.fileno()}", 1_000_000, 30.0)
        yes.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_settings(tmp_path: Path, number: signal.Signals) -> None:
    os.mkfifo(tmp_path / "pipe")
    words = [sys.executable, "-m", "edge", "config", "print", "-c", str(tmp_path / "pipe")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as program:
        # The pipe opens for writing as soon as somebody waits for it.
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s:
            try:
                os.close(os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK))
                break
            except OSError:
                time.sleep(0.05)
        program.send_signal(number)
        began_s = time.monotonic()
        said = program.communicate(timeout=30)[1]
        assert time.monotonic() - began_s < 2
    assert program.returncode in (0, 130)
    assert "Traceback" not in said

"""Ending signals at random moments, and in every kind of wait: nothing is lost, and the word is true."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from contextlib import suppress

import pytest
import random_signals
from random_signals import faces_clip, started

from edge.system import signals


def test_random_moments_of_start_run_and_end():
    faults = random_signals.many(200 if os.environ.get("FULL") else 8, seed=int(time.time()))
    assert not faults, "\n".join(faults)


def ended(words, number, after_s=0.5, **options):
    """Run the program, send ``number`` and return its exit code and what it said."""
    command = [sys.executable, "-m", "edge", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)
    assert started(process)
    time.sleep(after_s)
    process.send_signal(number)
    try:
        _, told = process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, told


def test_a_wait_for_a_reader_ends(tmp_path):
    clip = faces_clip(tmp_path / "clip.mp4", 4.0)
    reader, writer = os.pipe()  # nobody reads it
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ: the smallest, so that it is full at once
    try:
        words = ["run", str(clip), "--jsonl", "-", "--every-frame", "--precision", "fp32"]
        code, told = ended(words, signal.SIGTERM, after_s=4.0, stdout=writer)
    finally:
        os.close(reader)
        os.close(writer)
    assert (code, "Traceback" in told) == (130, False), told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_for_a_server_that_says_nothing_ends(number):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1"
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", address, "--precision", "fp32"],
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        connection = silent.accept()[0]  # it waits for the answer
        process.send_signal(number)
        began_s = time.monotonic()
        _, told = process.communicate(timeout=15)
        code, took_s = process.returncode, time.monotonic() - began_s
        connection.close()
    assert (code, "Traceback" in told) == (130, False), told
    assert took_s < 2, f"{took_s:.1f} s"


def test_a_background_job_that_ignores_a_signal_goes_on(tmp_path):
    clip = faces_clip(tmp_path / "clip.mp4", 2.0)
    ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731, as nohup(1) does
    words = ["run", str(clip), "--jsonl", str(tmp_path / "o.jsonl"), "--precision", "fp32"]
    code, told = ended(words, signal.SIGHUP, preexec_fn=ignoring)
    assert (code, "interrupted" in told) == (0, False), told


@pytest.mark.parametrize(("hangup", "code"), [(signal.SIG_DFL, 130), (signal.SIG_IGN, 0)])
def test_a_terminal_that_closes_ends_the_run_or_nothing(tmp_path, hangup, code):
    clip, lines = faces_clip(tmp_path / "clip.mp4", 20.0), tmp_path / "o.jsonl"
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "edge", "run", str(clip), "--jsonl", str(lines), "--precision", "fp32"]

    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, hangup)

    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # at exit it is tried again
        preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(theirs)
    while process.poll() is None and not (lines.exists() and lines.stat().st_size):
        os.read(ours, 65536)
    os.close(ours)
    assert process.wait(60) == code


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_messages_that_nobody_takes_change_no_code(tmp_path):
    clip, lines = faces_clip(tmp_path / "clip.mp4", 2.0), tmp_path / "o.jsonl"
    command = [sys.executable, "-m", "edge", "run", str(clip), "--jsonl", str(lines), "--precision", "fp32"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stderr=full, env={**os.environ, "PYTHONUNBUFFERED": ""}, timeout=60)
    assert (done.returncode, lines.stat().st_size > 0) == (0, True)


@pytest.fixture
def raised():
    """Call a function as a program would, and return whether it raised KeyboardInterrupt."""
    signals.install()

    def call(work):
        try:
            with signals.raising():
                work()
        except KeyboardInterrupt:
            return True
        return False

    yield call
    signals.install()


def test_a_signal_within_held_work_is_raised_after_it(raised):
    done = []

    def work():
        with signals.held():
            signal.raise_signal(signal.SIGTERM)
            done.append("the work")
        done.append("what comes after it")

    assert raised(work)
    assert done == ["the work"]


def test_hung_work_is_interrupted(raised):
    def work():
        with signals.held(patience_s=0.2):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)

    assert raised(work)


def test_a_wait_within_held_work_is_interrupted_at_once(raised):
    def work():
        with signals.held(60.0), signals.released():
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it went on")

    assert raised(work)


def test_an_import_is_never_interrupted(raised, tmp_path, monkeypatch):
    lines = "import os, signal", "os.kill(os.getpid(), signal.SIGINT)", "whole = [0 for _ in range(1000)]"
    (tmp_path / "interrupted_module.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    found = []

    def work():
        import interrupted_module

        found.append(interrupted_module.whole)
        time.sleep(60)

    assert raised(work)
    assert found


def test_a_callback_whose_exceptions_are_dropped_is_not_interrupted(raised):
    done = []

    @signals.callback
    def read():
        signal.raise_signal(signal.SIGINT)
        done.append("the callback")

    def work():
        with suppress(KeyboardInterrupt):  # as PyAV does, which then misses the end of the file
            read()
        time.sleep(60)

    assert raised(work)
    assert done == ["the callback"]


def test_a_callback_that_hangs_is_interrupted(raised, monkeypatch):
    monkeypatch.setattr(signals, "STEP_S", 0.2)

    @signals.callback
    def read():
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)

    assert raised(read)


@pytest.mark.parametrize("words", [["check"], ["config", "print"]])
def test_a_command_without_outputs_speaks_of_none(words):
    code, told = ended(words, signal.SIGINT, after_s=0.0)
    assert code == 130
    assert "output" not in told


def test_a_lost_exception_is_raised_by_the_next_check(raised):
    def work():
        with suppress(KeyboardInterrupt):  # as within __del__, whose exceptions Python drops
            signal.raise_signal(signal.SIGINT)
        signals.check()

    assert raised(work)


def test_a_signal_before_the_work_keeps_it_from_starting(raised):
    signal.raise_signal(signal.SIGTERM)
    assert signals.pending()
    assert raised(lambda: pytest.fail("it began"))

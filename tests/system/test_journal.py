"""Log lines for a terminal and for the journal."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from edge.system.journal import JournalHandler, prefix

ROOT = Path(__file__).parents[2]
SPEAK = """
import logging, os, sys
stat = os.fstat(2)
if sys.argv[1] == "journal":
    os.environ["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
elif sys.argv[1] == "elsewhere":
    os.environ["JOURNAL_STREAM"] = "1:1"
from edge.system import journal
journal.configure()
log = logging.getLogger("edge")
log.debug("unheard")
for number in range(9):
    log.info("frame %d", number)
log.error("%s", "two\\nlines \\x1b[2J")
try:
    raise ValueError("of two\\nlines")
except ValueError:
    log.exception("with a trace")
"""


def speak(where: str) -> list[str]:
    """What a program that logs says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, where], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_on_a_terminal_or_in_a_file_it_is_plain_text() -> None:
    for where in ("terminal", "elsewhere"):
        lines = speak(where)
        assert lines[:2] == ["emotion-edge: INFO: frame 0", "emotion-edge: INFO: frame 1"]
        assert lines[9] == r"emotion-edge: ERROR: two\nlines \x1b[2J", "a forged line, or an escape"
        assert lines[10] == "emotion-edge: ERROR: with a trace"
        assert lines[11].startswith("Traceback")
        assert lines[-2:] == ["ValueError: of two", "lines"]


def test_in_the_journal_each_line_has_a_priority_and_the_rest_is_counted_at_the_end() -> None:
    lines = speak("journal")
    assert lines[:5] == [f"<6>frame {number}" for number in range(5)]
    assert lines[5:7] == [r"<3>two\nlines \x1b[2J", "<3>with a trace"], "one entry for each message"
    assert all(line.startswith("<3>") for line in lines[7:-1])
    assert lines[-3:-1] == ["<3>ValueError: of two", "<3>lines"]
    assert lines[-1] == "<6>frame %d ... suppressed 4 times"


class Written:
    """A JournalHandler over a list, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.handler = JournalHandler(self, times=2, window_s=10, clock=lambda: self.now)  # type: ignore[arg-type]

    def write(self, text: str) -> None:
        self.lines += text.splitlines()

    def flush(self) -> None:
        pass

    def say(self, text: str, *args: object, level: int = logging.WARNING) -> None:
        self.handler.handle(logging.LogRecord("edge", level, "", 0, text, args, None))


def test_a_repeated_message_is_held_back_until_its_window_is_over() -> None:
    out = Written()
    for number in range(100):
        out.say("camera gone, try %d", number)
    out.say("another message")
    assert out.lines == ["<4>camera gone, try 0", "<4>camera gone, try 1", "<4>another message"]
    out.now = 10.0
    out.say("camera gone, try %d", 100)
    assert out.lines[3:] == ["<4>camera gone, try %d ... suppressed 98 times", "<4>camera gone, try 100"]


def test_levels_count_apart_and_nothing_is_summarized_without_need() -> None:
    out = Written()
    for level in (logging.INFO, logging.INFO, logging.ERROR, logging.CRITICAL):
        out.say("same words", level=level)
    out.now = 11.0
    out.say("later")
    assert out.lines == ["<6>same words", "<6>same words", "<3>same words", "<2>same words", "<4>later"]


def test_a_thousand_different_messages_take_bounded_memory() -> None:
    out = Written()
    for number in range(1000):
        out.say(f"message {number} with its number inside")
    assert len(out.lines) == 1000
    assert len(out.handler._counts) <= 256


def test_a_percent_sign_in_a_held_back_message_is_no_format() -> None:
    out = Written()
    for _ in range(3):
        out.say("100 % of frames are black")
    out.handler.close()
    assert out.lines[-1] == "<4>100 % of frames are black ... suppressed 1 times"


def test_prefixes() -> None:
    assert [prefix(level) for level in (10, 20, 30, 40, 50)] == ["<7>", "<6>", "<4>", "<3>", "<2>"]


def test_a_closed_stream_is_no_journal(monkeypatch) -> None:
    from edge.system.journal import to_journal

    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    with open(os.devnull, "w") as stream:
        pass
    assert not to_journal(stream)

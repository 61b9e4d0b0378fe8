"""Drawing in place: on the other screen, within the terminal's size, and nothing left behind."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

from hypothesis import given
from hypothesis import strategies as st

from edge.system.terminal import USUAL, Screen, can_redraw, fit


@given(st.text(), st.integers(0, 100))
def test_a_line_is_never_longer_than_the_terminal(text: str, columns: int) -> None:
    shown = fit(text, columns)
    assert len(shown) <= columns
    assert shown.isascii()
    assert "\x1b" not in shown
    assert "\n" not in shown


def test_a_line_that_fits_is_as_it_was() -> None:
    assert fit("faces of 31 pixels", 18) == "faces of 31 pixels"
    assert fit("faces of 31 pixels", 17) == "faces of 31 pi..."
    assert fit("caf\u00e9", 20) == r"caf\xe9"


def test_what_is_no_terminal(monkeypatch) -> None:
    assert not can_redraw(io.StringIO())
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setenv("TERM", "xterm")
        assert can_redraw(stream)
        monkeypatch.setenv("TERM", "dumb")
        assert not can_redraw(stream)
    os.close(ours)
    assert Screen(io.StringIO()).size() == USUAL


def test_nothing_is_written_without_a_drawing() -> None:
    stream = io.StringIO()
    with Screen(stream):
        pass
    assert stream.getvalue() == ""


def test_the_terminal_is_given_back() -> None:
    stream = io.StringIO()
    with Screen(stream) as screen:
        screen.draw(["a", "b"])
        screen.draw(["c"])
    text = stream.getvalue()
    assert text.startswith("\x1b[?1049h\x1b[?25l")
    assert text.endswith("\x1b[?25h\x1b[?1049l")
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1


def test_the_size_follows_the_window() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        screen = Screen(stream)
        for columns, rows in ((33, 7), (1, 1), (200, 60)):
            fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            assert screen.size() == (columns, rows)
        fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert screen.size() == USUAL
    os.close(ours)

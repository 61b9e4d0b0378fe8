"""Labels of every script on pictures: drawn by a font of this machine, or as numbers with a legend."""

from __future__ import annotations

import logging
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system import fonts, text

WHITE = (255, 255, 255)
SCRIPTS = {
    "Cyrillic": ("злость", "грусть"),
    "Arabic": ("غضب", "حزن"),
    "Hebrew": ("כעס", "עצב"),
    "Chinese": ("愤怒", "悲伤"),
    "Devanagari": ("क्रोध", "घृणा"),
    "emoji": ("😀", "😡"),
}


@pytest.fixture(autouse=True)
def _fresh():
    for cached in (text.shown, text._mask, fonts.font_for):
        cached.cache_clear()
    yield
    for cached in (text.shown, text._mask, fonts.font_for):
        cached.cache_clear()


def picture(label: str, scale: float = 1.0) -> np.ndarray:
    drawn = np.zeros((60, 300, 3), np.uint8)
    text.put(drawn, label, (5, 35), scale, WHITE)
    return drawn


@pytest.mark.parametrize("script", SCRIPTS)
def test_labels_of_a_script_differ_in_the_picture(script: str) -> None:
    pytest.importorskip("PIL", reason="Pillow draws other scripts")
    one, other = SCRIPTS[script]
    if fonts.font_for(one + other, 16) is None:
        pytest.skip(f"no font here has {script}; CI installs one")
    if fonts.needs_shaping(one) and not fonts.can_shape():
        pytest.skip("Pillow without libraqm")
    assert text.shown((one, other)) == (one, other)
    drawn = picture(one)
    assert (drawn > 128).sum() > 100, "there is ink"
    assert np.abs(drawn.astype(int) - picture(other)).max() > 128
    rows = np.flatnonzero(drawn.max(axis=(1, 2)) > 128)
    assert rows[0] >= 20, "not much higher than a line"
    assert rows[-1] <= 42


def test_arabic_letters_are_joined() -> None:
    if not fonts.can_shape() or fonts.font_for("غضب", 16) is None:
        pytest.skip("Pillow without libraqm, or no font")
    assert text.width("غضب", 1.0) < sum(text.width(letter, 1.0) for letter in "غضب")


def test_ascii_is_drawn_by_opencv_as_before() -> None:
    expected = np.zeros((60, 300, 3), np.uint8)
    cv2.putText(expected, "joy, 95%", (5, 35), cv2.FONT_HERSHEY_DUPLEX, 0.5, WHITE, 1, cv2.LINE_AA)
    assert np.array_equal(picture("joy, 95%"), expected)


def test_without_a_font_labels_are_numbers_and_the_log_says_which(monkeypatch, caplog) -> None:
    monkeypatch.setattr(fonts, "font_for", lambda *_: None)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert text.shown(("calm", "злость", "überrascht", "愤怒")) == ("calm", "2", "uberrascht", "4")
    (record,) = caplog.records
    assert "2 злость; 4 愤怒" in record.getMessage()
    assert "install" in record.getMessage()


def test_without_pillow_it_says_so(monkeypatch, caplog) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with caplog.at_level(logging.WARNING):
        assert text.shown(("calm", "злость")) == ("calm", "2")
    assert "install Pillow" in caplog.text


def test_without_shaping_arabic_is_a_number_and_cyrillic_is_not(monkeypatch, caplog) -> None:
    pytest.importorskip("PIL", reason="Pillow draws other scripts")
    if fonts.font_for("злость", 16) is None:
        pytest.skip("no font")
    monkeypatch.setattr(fonts, "can_shape", lambda: False)
    assert text.shown(("злость", "غضب")) == ("злость", "2")
    assert "libraqm" in caplog.text


@pytest.mark.parametrize(
    ("label", "drawn"),
    [
        ("happiness", "happiness"),
        ("very long name of an expression", "very long name of..."),
        ("glad 😀", "glad"),
        ("", "1"),
    ],
)
def test_how_a_label_is_shortened(label: str, drawn: str, monkeypatch) -> None:
    monkeypatch.setattr(fonts, "font_for", lambda *_: None)
    assert text.shown((label,)) == (drawn,)


def test_a_cut_leaves_marks_with_their_letter() -> None:
    assert text._short("ab" * 8 + "e\u0301" * 4) == "ab" * 8 + "..."


@given(x=st.integers(-400, 400), y=st.integers(-90, 90), gray=st.booleans())
def test_text_is_cut_off_at_the_border(x: int, y: int, gray: bool) -> None:
    mask = np.full((20, 90), 255, np.uint8)
    drawn = np.zeros((40, 120) if gray else (40, 120, 3), np.uint8)
    text._blend(drawn, mask, (x, y), WHITE)
    inside = max(min(x + 90, 120) - max(x, 0), 0) * max(min(y + 20, 40) - max(y, 0), 0)
    assert (drawn > 0).sum() == inside * (1 if gray else 3)

"""Faces as a run would find them, and the guess of how the camera hangs."""

from __future__ import annotations

import numpy as np
import pytest

from edge.aiming.looks import WAIT_S, Looks, Turns
from edge.capture.orientation import chosen
from edge.data import ANY_FACE, Face, Frame, Search
from edge.faces.square import square
from edge.faces.wide import WideLooks


def frame(image: np.ndarray, at: int, hz: float = 10) -> Frame:
    return Frame(image, at / hz, at)


class Upright:
    """Sees a face where the top row of the picture is white: well upright, badly turned."""

    def __init__(self, turned: float = 0.0) -> None:
        self.looks, self._turned = 0, turned

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        self.looks += 1
        score = 0.93 if frame.image[0].min() == 255 else self._turned
        return [Face(square(30, 30, 20), score)] if score else []


def picture(turn: int) -> np.ndarray:
    """One that becomes upright if it is turned clockwise by ``turn``."""
    image = np.zeros((60, 80), np.uint8)
    image[0] = 255
    return chosen(-turn % 360, False).turn(image)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("badly", [0.0, 0.82])  # Haar misses turned faces, YuNet only doubts them
def test_the_turn_is_guessed(turn: int, badly: float) -> None:
    detector = Upright(badly)
    turns, image = Turns(detector), picture(turn)
    guesses = [turns.guess(frame(image, at), detector.detect(frame(image, at))) for at in range(60)]
    waited = int(10 * WAIT_S)
    assert not any(guesses[:waited])
    assert guesses[-1] == turn
    assert set(guesses) <= {0, turn}


def test_a_clear_face_ends_the_guess_and_costs_nothing() -> None:
    detector = Upright()
    turns = Turns(detector)
    for at in range(60):
        turns.guess(frame(picture(180), at), [])
    looks = detector.looks
    assert turns.guess(frame(picture(0), 60), [Face(square(30, 30, 20), 0.93)]) == 0
    assert turns.guess(frame(picture(0), 61), []) == 0
    assert detector.looks == looks


def test_an_empty_room_gives_no_guess() -> None:
    detector = Upright()
    turns, image = Turns(detector), np.zeros((60, 80), np.uint8)
    assert not any(turns.guess(frame(image, at), []) for at in range(100))


class SmallFace:
    """A face of 50 pixels in 1080p, seen only in the part that holds it."""

    at = (1700.0, 900.0)

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        if search.fine is None or search.fine.part is None:
            return []
        x0, y0, x1, y1 = search.fine.part.tolist()
        inside = x0 <= self.at[0] < x1 and y0 <= self.at[1] < y1
        return [Face(square(*self.at, 50), 0.9)] if inside else []


def test_a_small_face_of_a_wide_frame_stays_until_its_part_is_looked_at_again() -> None:
    looks = Looks(SmallFace(), WideLooks(480, 48))
    image = np.zeros((1080, 1920), np.uint8)
    counts = [len(looks.faces(frame(image, at))) for at in range(60)]
    first = counts.index(1)
    assert first < 30
    assert set(counts[first:]) == {1}


def test_a_small_face_that_has_gone_is_forgotten() -> None:
    detector = SmallFace()
    looks = Looks(detector, WideLooks(480, 48))
    image = np.zeros((1080, 1920), np.uint8)
    assert any(looks.faces(frame(image, at)) for at in range(40))
    detector.at = (-1.0, -1.0)
    assert not any(looks.faces(frame(image, at)) for at in range(75, 120))

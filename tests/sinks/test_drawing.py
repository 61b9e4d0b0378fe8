"""What is drawn on a frame: boxes in the color of the track, light text on dark plates inside the picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from estimates import estimate, unsure
from hypothesis import given
from hypothesis import strategies as st

from edge.data import EmotionEstimate, Frame
from edge.sinks import drawing
from edge.sinks.drawing import COLORS, DARK, GRAY, LIGHT, Rect, draw

ESTIMATE = estimate((0.1, 0.7, 0.15, 0.05))


def frame(height: int = 480, width: int = 640) -> Frame:
    return Frame(np.full((height, width, 3), 80, np.uint8), 0.0, 0)


def at(*box: float, **changes: object) -> EmotionEstimate:
    return replace(ESTIMATE, box_xyxy=np.array(box, np.float32), **changes)


def shows(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.all(picture == color, axis=-1)


def plates(picture: np.ndarray) -> list[Rect]:
    """Where the plates are."""
    found = cv2.connectedComponentsWithStats(shows(picture, DARK).astype(np.uint8))[2][1:]
    return [Rect(*(int(v) for v in row[:4])) for row in found if row[4] > 200]


def test_the_box_has_the_tracks_color_and_gray_where_uncertain() -> None:
    still = frame()
    for shown, color in (
        (ESTIMATE, COLORS[1]),
        (replace(ESTIMATE, track_id=2), COLORS[2]),
        (unsure(ESTIMATE), GRAY),
    ):
        assert tuple(draw(still, [shown])[80, 60]) == color, "left edge of the box"
    assert np.all(still.image == 80), "the frame itself was drawn upon"


def test_what_is_drawn_on_may_be_larger_than_what_was_looked_at() -> None:
    """Every pixel as if the boxes had been found in the large picture itself."""
    large = frame(360, 960)
    looked_at = Frame(np.zeros((240, 320), np.uint8), 0.0, 0, "limited", large.image)
    moved = replace(ESTIMATE, box_xyxy=ESTIMATE.box_xyxy * np.array([3, 1.5, 3, 1.5], np.float32))
    assert np.array_equal(draw(looked_at, [ESTIMATE]), draw(large, [moved]))
    assert np.all(large.image == 80), "the frame itself was drawn upon"


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 640), (1080, 1920)])
def test_text_is_light_on_a_solid_dark_plate_and_large_enough(height: int, width: int) -> None:
    picture = draw(frame(height, width), [at(60, 40, 140, 120)])
    (plate,) = plates(picture)
    inside = picture[plate.y : plate.y + plate.height, plate.x + 8 : plate.x + plate.width]
    gray = cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY)
    assert np.percentile(gray, 50) == DARK[0], "the ground is one dark tone"
    assert (gray > 180).mean() > 0.02, "strokes are light themselves, not only their rim"
    # Luminances of the two, WCAG 2: 7:1 is its highest demand.
    light, dark = (((color[0] / 255 + 0.055) / 1.055) ** 2.4 for color in (LIGHT, DARK))
    assert (light + 0.05) / (dark + 0.05) > 7
    title = gray[: plate.height // 4]
    rows = np.flatnonzero((title > 150).any(axis=1))
    assert rows[-1] - rows[0] >= 0.018 * max(height, 400), "the height of a letter"


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 60, 60), (280, 190, 400, 300), (100, -40, 200, 60), (-30, 90, 60, 180), (0, 0, 320, 240)],
)
def test_a_plate_stays_inside_the_picture(box: tuple[float, ...]) -> None:
    """Whole, or with the title only where it would cover the face; no text is cut off at the border."""
    middle = 220 - (box[2] - box[0]) / 2
    side = min(box[2] - box[0], 120)
    (whole,) = plates(draw(frame(384, 512), [at(middle, 60, middle + side, 60 + side)]))
    (plate,) = plates(draw(frame(240, 320), [at(*box)]))  # the text has the same size in both pictures
    if box == (0, 0, 320, 240):
        assert plate.height == pytest.approx(whole.height / 4, abs=4)
    else:
        assert plate[2:] == pytest.approx(whole[2:], abs=2)


def test_faces_outside_of_the_picture_can_be_drawn() -> None:
    for box in ([900, 900, 990, 990], [-990, -990, -900, -900], [10, 10, 10, 10]):
        draw(frame(), [at(*box)])
        draw(frame(1, 1), [at(*box)])


def test_plates_leave_faces_and_other_plates_free_where_there_is_room() -> None:
    crowd = [
        at(40 + 200 * (k % 3), 30 + 150 * (k // 3), 110 + 200 * (k % 3), 100 + 150 * (k // 3), track_id=k)
        for k in range(9)
    ]
    picture = draw(frame(), crowd)
    boxes = [drawing._rect(estimate.box_xyxy) for estimate in crowd]
    found = plates(picture)
    assert len(found) == 9, "a plate for each face, none touches another"
    assert not any(plate.overlap(box) for plate in found for box in boxes)


def test_bars_are_as_long_as_the_probabilities() -> None:
    picture = draw(frame(), [at(60, 40, 260, 240)])
    (plate,) = plates(picture)
    lengths = []
    for y in range(plate.y, plate.y + plate.height):
        # Without the strip of the track's color at the left edge of the plate.
        length = int(shows(picture[y, plate.x + 8 :], COLORS[1]).sum())
        if length and (not lengths or lengths[-1] != length):
            lengths.append(length)
    shares = [length / (plate.width - 10) for length in lengths]
    assert shares == pytest.approx([0.7, 0.15, 0.1], abs=0.03)


@given(
    boxes=st.lists(st.tuples(*[st.integers(-300, 900)] * 2, st.integers(0, 600)), max_size=12),
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
)
def test_anything_can_be_drawn(boxes: list[tuple[int, int, int]], size: tuple[int, int]) -> None:
    estimates = [at(x, y, x + side, y + side, track_id=k) for k, (x, y, side) in enumerate(boxes)]
    assert draw(frame(*size), estimates).shape == (*size, 3)

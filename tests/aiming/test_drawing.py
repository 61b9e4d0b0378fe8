"""The drawing and the lines: whatever the terminal's size and the boxes, they fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.aiming import drawing
from edge.aiming.aim import Aim, Aimed
from edge.system.terminal import fit

FINITE = st.floats(-1e6, 1e6)
FACES = st.lists(
    st.builds(
        lambda x, y, side: Aimed((x, y, x + side, y + side), side, 100.0, 1.0),
        FINITE,
        FINITE,
        st.floats(0.01, 1e6),
    ),
    max_size=6,
)
AIMS = st.builds(
    lambda wide, high, faces: Aim(wide, high, 99.0, 0.1, 0.2, tuple(faces)),
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    FACES,
)


def aim(*boxes: tuple[float, float, float, float], width: int = 640, height: int = 480) -> Aim:
    return Aim(width, height, 99.0, 0.0, 0.0, tuple(Aimed(box, box[2] - box[0], 99.0, 2.0) for box in boxes))


@given(AIMS, st.integers(0, 300), st.integers(0, 100))
def test_a_drawing_fits_the_terminal(seen: Aim, columns: int, rows: int) -> None:
    lines = drawing.drawing(seen, columns, rows)
    assert len(lines) <= rows
    assert len({len(line) for line in lines}) <= 1
    assert all(len(line) <= columns for line in lines)


@given(
    st.one_of(st.none(), AIMS),
    st.floats(0, 1e4),
    st.lists(st.text(max_size=200), max_size=4),
    st.text(max_size=200),
    st.integers(1, 300),
    st.integers(1, 100),
)
def test_a_screen_fits_the_terminal(
    seen: Aim | None, rate: float, hints: list[str], note: str, columns: int, rows: int
) -> None:
    lines = drawing.screen(seen, rate, 48, hints, note, columns, rows)
    assert len(lines) <= rows
    for line in lines:
        shown = fit(line, columns)
        assert len(shown) <= columns
        assert shown.isascii()
        assert not shown or shown.isprintable()


def test_the_frame_keeps_its_shape_and_the_box_its_place() -> None:
    lines = drawing.drawing(aim((320, 0, 640, 240)), 80, 30)
    wide, high = len(lines[0]), len(lines)
    assert abs(wide / high - 2 * 640 / 480) < 0.15
    assert lines[0] == lines[-1] == "+" + "-" * (wide - 2) + "+"
    marked = [(x, y) for y, line in enumerate(lines) for x, sign in enumerate(line) if sign == "#"]
    assert min(x for x, _ in marked) == wide // 2
    assert max(x for x, _ in marked) == wide - 2
    assert min(y for _, y in marked) == 1
    assert max(y for _, y in marked) == high // 2
    assert any("320" in line for line in lines)


def test_a_tall_frame_is_drawn_tall() -> None:
    lines = drawing.drawing(aim(width=480, height=640), 80, 24)
    assert len(lines) == 24
    assert len(lines[0]) == 36


def test_figures_and_hints_come_before_the_drawing_gets_room() -> None:
    seen = aim((10, 10, 50, 50))
    for rows in range(1, 9):
        lines = drawing.screen(seen, 15.0, 48, ["move closer"], "", 80, rows)
        assert lines[0].startswith("640x480, 15.0 frames/s, light 99 of 255")
        assert rows == 1 or lines[1] == "! move closer"
    assert drawing.screen(seen, 15.0, 48, [], "", 80, 24)[0].startswith("+--")


def test_one_line_for_a_pipe() -> None:
    line = drawing.one_line(aim((0, 0, 93, 93), (0, 0, 40, 40)), 14.84, ["too dark"], "no frame for 3 s")
    assert line == (
        "640x480, 14.8 frames/s, light 99 of 255, 0 % black, 0 % white, 2 faces of 93 px, 40 px; "
        "too dark; no frame for 3 s"
    )
    assert "\n" not in line

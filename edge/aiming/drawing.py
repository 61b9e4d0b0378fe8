"""An ``Aim`` as text: a drawing of its boxes, its figures and the hints, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from edge.aiming.aim import Aim

_CELL = 2.0  # height of a sign over its width, about, in all terminals
_LEAST_ROWS = 5  # of a drawing that shows anything
_LEAST_COLUMNS = 8
_MOST_FACES = 3  # that are told one by one, the largest
END = "Ctrl-C ends. Nothing is stored."


def screen(
    aim: Aim | None,
    rate_hz: float,
    least_px: float,
    hints: Sequence[str],
    note: str,
    columns: int,
    rows: int,
) -> list[str]:
    """At most ``rows`` lines: the drawing if there is room, figures, hints, ``note``, how it ends.

    ``aim`` None: there was no frame yet. Lines of text may be longer than ``columns``; ``Screen`` cuts them.
    """
    text = [figures(aim, rate_hz)] if aim else []
    text += [f"! {hint}" for hint in hints]
    text += faces(aim, least_px) if aim else []
    text += [f"> {note}"] if note else []
    text = [*text, END][: max(rows, 0)]
    return [*(drawing(aim, columns, rows - len(text)) if aim else []), *text]


def one_line(aim: Aim, rate_hz: float, hints: Sequence[str], note: str = "") -> str:
    """All of it in one line, for a pipe."""
    sizes = ", ".join(f"{face.side_px:.0f} px" for face in aim.faces[:_MOST_FACES])
    count = f"{len(aim.faces)} face{'s' * (len(aim.faces) != 1)}{' of ' + sizes if sizes else ''}"
    return "; ".join([f"{figures(aim, rate_hz)}, {count}", *hints, *([note] if note else [])])


def figures(aim: Aim, rate_hz: float) -> str:
    """Size and light of the frame, and how often one comes; rate 0: not known yet."""
    rate = f"{rate_hz:.1f} frames/s, " if rate_hz else ""
    return (
        f"{aim.width}x{aim.height}, {rate}light {aim.light:.0f} of 255, "
        f"{100 * aim.black:.0f} % black, {100 * aim.white:.0f} % white"
    )


def faces(aim: Aim, least_px: float) -> list[str]:
    """One line for each of the largest faces."""
    lines = [
        f"face of {face.side_px:.0f} pixels ({least_px:g} needed), light {face.light:.0f}, "
        f"sharpness {face.sharp:.1f} (1 needed)"
        for face in aim.faces[:_MOST_FACES]
    ]
    more = len(aim.faces) - len(lines)
    return [*lines, f"and {more} more"] if more > 0 else lines


def drawing(aim: Aim, columns: int, rows: int) -> list[str]:
    """The frame with its boxes, in its shape, in at most ``rows`` lines of ``columns``; [] without room."""
    if rows < _LEAST_ROWS or columns < _LEAST_COLUMNS or min(aim.width, aim.height) < 1:
        return []
    high = min(rows, round(columns * aim.height / aim.width / _CELL))
    wide = min(columns, round(high * _CELL * aim.width / aim.height))
    if high < _LEAST_ROWS or wide < _LEAST_COLUMNS:
        return []
    cells = [[" "] * wide for _ in range(high)]
    _box(cells, (0, 0, wide - 1, high - 1), ("+", "-", "|"))
    for face in reversed(aim.faces):  # the largest on top
        x0, y0, x1, y1 = face.box_xyxy
        left, right = (_cell(x, aim.width, wide) for x in (x0, x1))
        top, bottom = (_cell(y, aim.height, high) for y in (y0, y1))
        _box(cells, (left, top, right, bottom), ("#", "#", "#"))
        label = f"{face.side_px:.0f}"
        if len(label) < right - left and bottom - top > 1:
            at = (left + right + 1 - len(label)) // 2
            cells[(top + bottom) // 2][at : at + len(label)] = label
    return ["".join(row) for row in cells]


def _cell(value: float, length: int, count: int) -> int:
    """Of ``count`` cells over ``length`` pixels, the one within the border that is nearest to ``value``."""
    return min(max(int(min(max(value / length, 0.0), 1.0) * count), 1), count - 2)


def _box(cells: list[list[str]], corners: tuple[int, int, int, int], signs: tuple[str, str, str]) -> None:
    left, top, right, bottom = corners
    corner, across, down = signs
    for x in range(left, right + 1):
        cells[top][x] = cells[bottom][x] = across
    for y in range(top, bottom + 1):
        cells[y][left] = cells[y][right] = down
    for y in (top, bottom):
        cells[y][left] = cells[y][right] = corner

"""Drawing helpers for the plots of a report: style, readable axes, and conversion to inline SVG.

matplotlib is optional, so it is imported where it is needed.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.core.formatting import plain
from edge.system.drawing import new_figure

Drawn = Iterator[tuple[str, Any]]  # titles and matplotlib figures

POINTS = 500  # per curve: more would be invisible and make a page of megabytes
_WIDTH = 736  # the 46 rem of the page; one unit of a plot is one CSS pixel
INK = "#010203"  # placeholder for the page's text color, which follows dark mode
# Okabe and Ito's color-blind safe palette, with the ones too pale for white paper last.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
STYLE = {
    "svg.fonttype": "none", "font.family": "DejaVu Sans", "text.parse_math": False,
    "font.size": 12, "legend.fontsize": 11.5, "legend.title_fontsize": 11.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlesize": 11.5,
    "xtick.color": INK, "ytick.color": INK, "legend.frameon": False, "axes.titlelocation": "left",
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 4, "ytick.major.size": 4,
    "axes.grid": True, "grid.color": INK, "grid.alpha": 0.13, "grid.linewidth": 0.8, "axes.axisbelow": True,
    "lines.linewidth": 1.8, "lines.markersize": 6.5, "lines.solid_capstyle": "round",
}  # fmt: skip
_METADATA = ("Date", "Creator", "Format", "Type")  # which matplotlib writes by default


def panels(height: int, rows: int = 1) -> tuple[Any, Any]:
    """A figure as wide as the page, and its vertically stacked axes."""
    figure = new_figure(figsize=(_WIDTH / 72, height / 72), layout="constrained")
    return figure, figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]


def svg(figure: Any, salt: str) -> str:
    """The figure as a reproducible SVG element."""
    import matplotlib

    out = io.StringIO()
    # The salt keeps the ids of the plots on one page distinct.
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format="svg", metadata=dict.fromkeys(_METADATA))
    text = out.getvalue()
    text = text[text.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', text)
    body = text[text.index(">") + 1 :].replace(INK, "currentColor")
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # equal in every figure, and nothing refers to them
    # A hundredth of a pixel is enough, and saves half of the bytes.
    body = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), body)
    body = body.replace("<use xlink:href=", "<use href=").replace("'DejaVu Sans'", "system-ui, sans-serif")
    return f'<svg role="img" {view[0] if view else ""}>{body}'


def log_axis(axes: Any, values: list[float], room: float = 1.08) -> None:
    """A log axis with readable ticks: matplotlib labels powers of ten only, and 3 to 7 ms has none."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(values, default=1.0) / room, max(values, default=1.0) * room
    if high < 5 * low:
        ticks = list(MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(low, high))
    else:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**power for power in powers for step in ((1, 2, 5) if high < 900 * low else (1,))]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{tick:.6g}" for tick in ticks])


def legend(axes: Any, columns: int, title: str | None = None) -> None:
    """A legend above the plot, where it hides no point."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, title=title, alignment="left",
                borderaxespad=0, handlelength=1.4)  # fmt: skip


def rows(axes: Any, names: list[str]) -> None:
    """Label the y axis with one row per name, at 0, 1, 2, ... from the top."""
    axes.set_yticks(range(len(names)), [textwrap.fill(plain(name, 80), 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params("y", length=0)
    axes.grid(False, axis="y")


def beside(axes: Any, row: int, text: str) -> None:
    """Text to the right of a row."""
    axes.text(1.015, row, text, transform=axes.get_yaxis_transform(), va="center")


def shown(label: str) -> str:
    """A label for a legend; the space is for matplotlib, which omits labels that begin with "_"."""
    return " " + plain(label, 60)


def by_unit(entries: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group the entries that may share an axis."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        groups.setdefault(entry["unit"], []).append(entry)
    return groups

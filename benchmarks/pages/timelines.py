"""Plots over time: the series of a long run and the machine's sensors.

Long series are drawn as the median and range of intervals, so that no outlier is lost.
"""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from benchmarks.core.formatting import plain
from benchmarks.pages import canvas

_SENSORS = {"_c": "temperature, °C", "_mhz": "clock, MHz", "_w": "power, W"}


def series(report: dict[str, Any]) -> canvas.Drawn:
    """One plot for all series of a unit."""
    rows = [entry for entry in report.get("series", []) if entry["time_s"] and entry["values"]]
    rows.sort(key=lambda entry: entry["name"] != "age")  # the main result comes first
    for unit, entries in canvas.by_unit(rows).items():
        figure, (axes,) = canvas.panels(260)
        for index, entry in enumerate(entries):
            count = min(len(entry["time_s"]), len(entry["values"]))
            _envelope(axes, entry["time_s"][:count], entry["values"][:count], entry["name"], index)
        if unit in ("ms", "s", "us"):
            axes.set_ylim(bottom=0)
        axes.set_xlabel("time, s")
        axes.set_ylabel(plain(unit, 20))
        canvas.legend(axes, 2)
        yield f"Over time: {plain(', '.join(entry['name'] for entry in entries), 60)}", figure


def sensors(report: dict[str, Any]) -> canvas.Drawn:
    """Temperatures, clocks and power, with marks where a setting changed."""
    rows = report.get("sensors", [])
    columns = {
        name: [row.get(name) for row in rows] for name in dict.fromkeys(n for row in rows for n in row)
    }
    times = columns.pop("time_s", [])
    numbers = {
        name: [value if isinstance(value, (int, float)) else math.nan for value in column]
        for name, column in columns.items()
        if any(isinstance(value, (int, float)) for value in column)
    }
    kinds = [(label, [name for name in numbers if name.endswith(end)]) for end, label in _SENSORS.items()]
    kinds = [(label, names) for label, names in kinds if names]
    if not kinds:
        return
    figure, panels = canvas.panels(60 + 175 * len(kinds), len(kinds))
    for axes, (label, names) in zip(panels, kinds, strict=True):
        for index, name in enumerate(names):
            _envelope(axes, times, numbers[name], name, index)
        axes.set_ylabel(label)
        canvas.legend(axes, 4 if len(rows) <= canvas.POINTS else 2)
    _changes(panels, times, {name: column for name, column in columns.items() if name not in numbers})
    yield "The machine over time", figure


def _envelope(axes: Any, times: list[float], values: list[Any], name: str, index: int) -> None:
    """Median and range of intervals, so that one late frame in a day still shows. NaN is a gap."""
    each = math.ceil(len(times) / canvas.POINTS)
    pieces = [slice(start, start + each) for start in range(0, len(times), each)]
    at, samples = np.asarray(times, float), np.asarray(values, float)
    middle = [at[piece].mean() for piece in pieces]
    low, median, high = ([of(samples[p]) for p in pieces] for of in (np.nanmin, np.nanmedian, np.nanmax))
    color = canvas.COLORS[index % len(canvas.COLORS)]
    axes.fill_between(middle, low, high, color=color, alpha=0.45, linewidth=0.8)
    label = f"{plain(name, 30)}: median and range of {each} values each" if each > 1 else name
    axes.plot(middle, median, color=color, linewidth=1.3, label=canvas.shown(label),
              linestyle=("-", "--", ":")[index // len(canvas.COLORS) % 3])  # fmt: skip


def _changes(panels: Any, times: list[float], columns: dict[str, list[Any]]) -> None:
    """Mark where a governor, power mode or throttling flag changed, which explains changes of a clock."""
    changes = [
        (time, f"{time:.0f} s {plain(name, 20)}: {plain(new, 30)}")
        for name, column in columns.items()
        for time, old, new in zip(times[1:], column, column[1:], strict=False)
        if isinstance(new, str) and isinstance(old, str) and new != old
    ][:12]  # more would fill the plot
    for time, _ in changes:
        for axes in panels:
            axes.axvline(time, color=canvas.INK, alpha=0.6, linewidth=1.2, linestyle=":")
    caption = "dotted: " + "; ".join(text for _, text in changes) if changes else ""
    panels[-1].set_xlabel("time, s\n{}".format("\n".join(textwrap.wrap(caption, 95))).rstrip())

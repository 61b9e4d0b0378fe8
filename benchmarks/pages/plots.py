"""The plots of a report as inline SVG; each is drawn only if the report has its data.

Plots over time are in ``timelines``, drawing helpers in ``canvas``.
"""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np

from benchmarks.core.formatting import plain, short, value_of
from benchmarks.pages import canvas, timelines
from edge.system.drawing import matplotlib

MARKED = {"p50": 0.5, "p99": 0.99}  # the dots on a distribution


def plots(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and SVG of every plot that the report has data for."""
    matplotlib()
    from matplotlib import style

    with style.context(["default", canvas.STYLE]), warnings.catch_warnings():
        # matplotlib only measures the text; the browser draws letters that matplotlib's font lacks.
        warnings.simplefilter("ignore")
        kinds = (_peers, _sweep, _distributions, _stages, timelines.series, timelines.sensors, _accuracy)
        drawn = [pair for kind in kinds for pair in kind(report)]
        return [(title, canvas.svg(figure, f"{at} {title}")) for at, (title, figure) in enumerate(drawn)]


def _distributions(report: dict[str, Any]) -> canvas.Drawn:
    rows = [entry for entry in report["measurements"] if entry["group"] in ("latency", "age")]
    for unit, entries in canvas.by_unit(rows).items():
        for start in range(0, len(entries), len(canvas.COLORS)):
            part = entries[start : start + len(canvas.COLORS)]
            title = "Distribution of " + " and ".join(dict.fromkeys(entry["group"] for entry in part))
            if len(entries) > len(part):
                title += f", {start + 1} to {start + len(part)} of {len(entries)}"
            yield title, _cdf(part, unit)


def _cdf(entries: list[dict[str, Any]], unit: str) -> Any:
    """Shares on a logit axis, which gives half of the plot to the tails, where p99 is."""
    figure, (axes,) = canvas.panels(330)
    ends = []
    for color, entry in zip(canvas.COLORS, entries, strict=False):
        samples = np.sort(np.concatenate([np.asarray(part, float) for part in entry["rounds"]]))
        shown = _evenly(len(samples))
        shown = shown[samples[shown] > 0]  # a log axis cannot show others, but the shares count them
        marks = {share: value_of(entry["summary"][name]) for name, share in MARKED.items()}
        marks = {share: value for share, value in marks.items() if not math.isnan(value)}
        label = f"{plain(entry['name'], 34)}: {', '.join(map(short, marks.values()))}"
        height = _logit((shown + 0.5) / len(samples))
        axes.plot(samples[shown], height, color=color, label=canvas.shown(label))
        axes.plot(marks.values(), [_logit(share) for share in marks], "o", color=color)
        ends += [*samples[shown][[0, -1]], *marks.values()] if len(shown) else []
    most = max(sum(map(len, entry["rounds"])) for entry in entries)
    tails = [share for share in (0.1, 0.01, 1e-3, 1e-4) if share * most >= 1]
    shares = [0.5, *tails, *(1 - share for share in tails)]
    axes.set_yticks([_logit(share) for share in shares], [f"{100 * share:.6g} %" for share in shares])
    axes.set_ylim(_logit(0.4 / (most + 1)), _logit(1 - 0.4 / (most + 1)))
    for share in (0.5, 0.99) if most >= 100 else (0.5,):
        axes.axhline(_logit(share), color=canvas.INK, alpha=0.45, linewidth=0.8, linestyle=(0, (4, 3)))
    canvas.log_axis(axes, ends)
    axes.set_xlabel(f"{plain(unit, 20)} (log scale)")
    axes.set_ylabel("share of samples at most")
    canvas.legend(axes, 2, title="name: median, p99 of 100 samples or more (the dots)")
    return figure


def _evenly(count: int) -> Any:
    """Indices of at most POINTS of ``count`` sorted samples, evenly spaced on the logit axis."""
    if count <= canvas.POINTS:
        return np.arange(count)
    edge = _logit(1 - 0.5 / count)
    shares = 1 / (1 + 10.0 ** -np.linspace(-edge, edge, canvas.POINTS))
    return np.unique(np.clip(np.rint(shares * count - 0.5), 0, count - 1).astype(int))


def _stages(report: dict[str, Any]) -> canvas.Drawn:
    rows = [entry for entry in report["measurements"] if entry["group"] == "stage"]
    for unit, entries in canvas.by_unit(rows).items():
        # Means, because the median of a stage that runs in every third frame is 0.
        middle = np.array([float(entry["summary"]["mean"]) for entry in entries])
        p99 = [value_of(entry["summary"]["p99"]) for entry in entries]
        late = np.array(
            [value_of(e["summary"]["max"]) if math.isnan(v) else v for v, e in zip(p99, entries, strict=True)]
        )
        figure, (axes,) = canvas.panels(70 + 34 * len(entries))
        at = np.arange(len(entries))
        axes.barh(at, middle, 0.55, color=canvas.COLORS[0])
        axes.errorbar(middle, at, xerr=[0 * middle, np.maximum(late - middle, 0)],
                      fmt="none", ecolor=canvas.INK, elinewidth=1.2, capsize=3.5)  # fmt: skip
        canvas.rows(axes, [entry["name"] for entry in entries])
        for row, value in enumerate(middle):
            share = f"{100 * value / middle.sum():.0f} %: " if middle.sum() > 0 else ""
            end = "max" if math.isnan(p99[row]) else "p99"
            canvas.beside(axes, row, f"{share}{short(value)}, {end} {short(late[row])}")
        axes.set_xlim(0, 1.05 * max(late.max(), middle.max()) or 1)
        axes.set_xlabel(plain(unit, 20))
        axes.set_title(
            "bar: mean, and its share of the whole; whisker: p99, or the slowest of fewer than 100 samples"
        )
        yield "Where the time goes", figure


def _sweep(report: dict[str, Any]) -> canvas.Drawn:
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for entry in report["measurements"] if report["kind"] == "sweep" else []:
        match = re.fullmatch(r"faces (\d{1,6})(?:, (.*))?", entry["name"], re.DOTALL)
        if match and entry["group"] == "latency":
            rows = lines.setdefault((entry["unit"], match[2] or "all"), [])
            rows.append((int(match[1]), value_of(entry["summary"]["p50"])))
    for unit in dict.fromkeys(unit for unit, _ in lines):
        figure, (axes,) = canvas.panels(320)
        drawn = {name: sorted(rows) for (of, name), rows in lines.items() if of == unit}
        for index, (name, rows) in enumerate(drawn.items()):
            # The colors repeat with another marker.
            color = canvas.COLORS[index % len(canvas.COLORS)]
            mark = "osD^v"[index // len(canvas.COLORS) % 5]
            axes.plot(*zip(*rows, strict=True), marker=mark, color=color, label=canvas.shown(name))
        axes.set_xticks(sorted({faces for rows in drawn.values() for faces, _ in rows}))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("faces in the picture")
        axes.set_ylabel(f"median, {plain(unit, 20)} a frame")
        canvas.legend(axes, 2)
        yield "Median latency against faces", figure


def _accuracy(report: dict[str, Any]) -> canvas.Drawn:
    rows = [row for row in report.get("accuracy", []) if (row.get("ms") or 0) > 0]
    if not rows:
        return
    figure, (axes,) = canvas.panels(320)
    for index, row in enumerate(rows):
        color, value = canvas.COLORS[index % len(canvas.COLORS)], 100 * row["accuracy"]
        ends = [100 * row[end] if row.get(end) is not None else value for end in ("low", "high")]
        axes.errorbar(row["ms"], value, yerr=[[max(value - ends[0], 0)], [max(ends[1] - value, 0)]],
                      fmt="o", color=color, capsize=4, elinewidth=1.4)  # fmt: skip
        axes.annotate(plain(row["precision"], 24), (row["ms"], value), (8, 5), textcoords="offset points")
        if row.get("uar") is not None:
            axes.plot(
                row["ms"], 100 * row["uar"], "D", color=color, markerfacecolor="none", markeredgewidth=1.6
            )
    canvas.log_axis(axes, [row["ms"] for row in rows], room=1.25)
    axes.set_xlabel("median latency, ms (log scale): left is faster")
    axes.set_ylabel("%")
    whisker = " with its 95 % interval" if any(row.get("low") is not None for row in rows) else ""
    axes.set_title(f"dot: accuracy{whisker}; diamond: unweighted average recall")
    yield "Accuracy beside speed", figure


def _peers(report: dict[str, Any]) -> canvas.Drawn:
    rows = [figure for figure in report["figures"] if report["kind"] == "peers" and _is_ratio(figure)]
    if not rows:
        return
    figure, (axes,) = canvas.panels(80 + 44 * len(rows))
    ends = [1.0]
    for at, row in enumerate(rows):
        axes.plot([row["low"], row["high"]], [at, at], color=canvas.COLORS[0], linewidth=3, alpha=0.55)
        axes.plot(row["value"], at, "s", color=canvas.COLORS[0])
        canvas.beside(axes, at, f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
        ends += [row["low"], row["high"]]
    axes.axvline(1, color=canvas.INK, alpha=0.6, linewidth=0.9, linestyle=(0, (4, 3)))
    canvas.rows(axes, [row["name"] for row in rows])
    canvas.log_axis(axes, ends)
    axes.set_xlabel("ratio (log scale)")
    axes.set_title("95 % intervals; dashed: no difference")
    yield "Compared with others", figure


def _is_ratio(figure: dict[str, Any]) -> bool:
    parts = [figure.get(name) for name in ("value", "low", "high")]
    return figure["unit"] == "x" and all(isinstance(part, (int, float)) and part > 0 for part in parts)


def _logit(share: float) -> Any:
    return np.log10(share / (1 - share))

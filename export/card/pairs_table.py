"""Figures of ``pairs.evaluate`` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from export.metrics.set_report import MIN_GROUP, share

WARPED = "What lies between the two pictures is warped, not filmed."
NO_CHOICE = "Choose no model, threshold or setting by these figures: they would say nothing afterwards."
_SHARES = ("expressive_called", "neutral_called", "in_order", "auc")
_METHODS = {
    "recurrent": "recurrent step",
    "most_accurate": "smoothing, most accurate",
    "as_steady": "smoothing, as steady",
}


def table(figures: Mapping[str, Any]) -> str:
    """Labels and order of every precision, figures by group, and time, each with its interval."""
    parts = (_labels(figures), _groups(figures), _time(figures), _strengths(figures))
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _labels(figures: Mapping[str, Any]) -> list[str]:
    told = figures["expression"]
    titles = (f"expressive pictures called {told}", f"neutral pictures called {told}",
              f"pairs in which {told} rises", f"AUC of {told}")  # fmt: skip
    precisions = figures["precisions"]
    lines = [f"{figures['persons']} persons. {WARPED} {NO_CHOICE}", "", *_head("figure", list(precisions))]
    for name, title in zip(_SHARES, titles, strict=True):
        lines.append(_row(title, [_text(row[name], name) for row in precisions.values()]))
    return lines


def _groups(figures: Mapping[str, Any]) -> list[str]:
    """Of the first precision; time is that of the recurrent step."""
    name, first = next(iter(figures["precisions"].items()))
    lines = []
    for group, found in first["groups"].items():
        for value, row in found["values"].items():
            late = figures["time"]["groups"][group][value]["onset_delay"]
            cells = [_text(row[one], one) for one in _SHARES]
            lines.append(_row(f"{group}: {value}", [str(row["in_order"]["n"]), *cells, _steps(late)]))
        if found["worst_gap"]:
            gap = f"gap in called so {share(**found['worst_gap'])}"
            lines.append(_row(f"{group}: best and worst (n >= {MIN_GROUP})", ["", gap, "", "", "", ""]))
    if not lines:
        return []
    titles = ["n", "expressive called so", "neutral called so", "in order", "AUC", "steps until it is told"]
    return _head(f"group ({name})", titles) + lines


def _time(figures: Mapping[str, Any]) -> list[str]:
    time = figures["time"]
    ways = {title: time[way] for way, title in _METHODS.items() if time[way]}
    names = [
        title + (f" ({' and '.join(way['chosen'])})" if "chosen" in way else "")
        for title, way in ways.items()
    ]
    rows = {
        "steps that are right": "accuracy",
        "needless changes of a sequence": "extra_changes",
        "sequences in which the expression is told": "reached",
        "steps until it is told": "onset_delay",
        "steps until neutral is told again": "return_delay",
    }
    lines = [
        f"{time['sequences']} sequences of {time['steps']} steps at {time['step_hz']:g} Hz. {WARPED} "
        f"Without memory: {time['baseline']}.",
        "",
        *_head("time (fp32)", names),
    ]
    for title, name in rows.items():
        lines.append(_row(title, [_figure(way["figures"][name], name) for way in ways.values()]))
        if len(ways) > 1:
            ahead = [_figure(way["ahead"][name], name) if "ahead" in way else "" for way in ways.values()]
            lines.append(_row("recurrent minus smoothing, of the same sequences", ahead))
    return lines


def _strengths(figures: Mapping[str, Any]) -> list[str]:
    rows = figures["time"]["by_strength"]
    return [
        *_head("strength of the expression, warped", [f"{row['strength']:.0%}" for row in rows]),
        _row("called so", [f"{row['called']:.1%}" for row in rows]),
        _row("mean probability", [f"{row['probability']:.2f}" for row in rows]),
    ]


def _head(first: str, names: Sequence[str]) -> list[str]:
    return [_row(first, names), "|---" * (len(names) + 1) + "|"]


def _row(title: str, cells: Sequence[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


def _text(row: Mapping[str, Any], name: str) -> str:
    return _steps(row, 3) if name == "auc" else share(row["value"], row["interval_95"])


def _figure(row: Mapping[str, Any], name: str) -> str:
    if row["value"] is not None and name in ("accuracy", "reached"):
        return share(row["value"], row["interval_95"])
    return _steps(row)


def _steps(row: Mapping[str, Any], digits: int = 2) -> str:
    if row["value"] is None:
        return "none"
    ends = row["interval_95"]
    return f"{row['value']:.{digits}f}" + (f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})" if ends else "")

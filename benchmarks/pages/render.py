"""One self-contained HTML page for a report of emotion-bench; no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.core.formatting import is_number, plain, short
from benchmarks.core.report import verdict
from benchmarks.pages.plots import plots
from edge.errors import require
from edge.report.page import HINT, render
from edge.system.drawing import matplotlib

_TITLES = {
    "model": "The model alone",
    "pipeline": "The whole pipeline",
    "age": "Age of the estimates",
    "sweep": "Sweep",
    "soak": "Long run",
    "loadgen": "LoadGen, unofficial",
    "selftest": "Self-test of the measurement",
    "peers": "Compared with other programs",
    "start": "Startup",
}


def requirements() -> None:
    """Raise DependencyError where a library for ``page`` is missing."""
    matplotlib()
    require("jinja2", HINT)


def page(report: dict[str, Any]) -> str:
    """The page of a report that fits ``bench.schema.json``; DependencyError without matplotlib or Jinja2."""
    requirements()
    markup = require("markupsafe", HINT).Markup
    entries, figures = report["measurements"], report["figures"]
    # Every entry of a summary that is a dict is a quantile with its interval.
    quantiles = dict.fromkeys(
        name for entry in entries for name, part in entry["summary"].items() if isinstance(part, dict)
    )
    return render(
        "benchmarks.pages",
        "report.html.j2",
        report=report,
        title=_TITLES.get(report["kind"], plain(report["kind"])),
        board=plain(report["fingerprint"].get("board") or "this machine"),
        figures=[(figure, verdict(figure)) for figure in figures],
        targets=any(figure["asked"] for figure in figures),
        plots=[(name, markup(drawing)) for name, drawing in plots(report)],
        quantiles=list(quantiles),
        accuracy=[{"low": None, "high": None, "uar": None} | row for row in report.get("accuracy", [])],
        counts=[(name, _number(count)) for name, count in report.get("counts", {}).items()],
        notes=report.get("notes", []),
        fingerprint=list(_leaves(report["fingerprint"])),
        plain=plain,
        number=_number,
        interval=_interval,
        percent=_percent,
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of every leaf, nested as "libraries.numpy"; a list of plain values is one leaf."""
    if isinstance(value, list) and not any(isinstance(part, (dict, list)) for part in value):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, "n/a" if value is None else value


def _interval(part: dict[str, Any]) -> str:
    """The interval, which is one-sided for a far quantile of few samples."""
    low, high = part.get("low"), part.get("high")
    if is_number(low) and is_number(high):
        return f"{_number(low)} – {_number(high)}"
    if is_number(low):
        return f"≥ {_number(low)}"
    return f"≤ {_number(high)}" if is_number(high) else ""


def _number(value: Any) -> str:
    if value is None:
        return "n/a"
    if not is_number(value):
        return plain(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return short(value)


def _percent(value: Any) -> str:
    return f"{value:.2%}" if is_number(value) else ""

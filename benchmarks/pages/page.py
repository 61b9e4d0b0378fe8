"""One self-contained HTML page for a report of emotion-bench; no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from benchmarks.core.report import verdict
from benchmarks.pages.formatting import plain, short, value_of
from benchmarks.pages.plots import plots
from export.bundle import pages as pages

_TITLES = {
    "model": "The model alone",
    "pipeline": "The whole pipeline",
    "age": "Age of the estimates",
    "sweep": "Sweep",
    "soak": "Long run",
    "loadgen": "LoadGen, unofficial",
    "selftest": "Self-test of the measurement",
    "peers": "Beside other programs",
    "start": "Start",
}
# Beside the stylesheet of the proof's page. Inline SVG takes its ink from the page, in dark mode too.
_STYLE = """
figure { margin: 2rem 0; overflow-x: auto } figcaption { font-weight: 600; margin-bottom: .4rem }
svg { display: block; width: 100%; min-width: 34rem } svg text { font-family: system-ui, sans-serif }
.wide { overflow-x: auto } small { display: block; opacity: .65; font-size: .76em } td { vertical-align: top }
.wide table { width: 100%; font-size: .94em } .wide td { white-space: nowrap }
.wide td:first-child { white-space: normal; min-width: 7rem }
.wide td, .wide th { padding: .3rem .4rem } .text { text-align: left } .lead { opacity: .75 }
.facts { font-size: .9em } .facts td { text-align: left; overflow-wrap: anywhere; min-width: 8rem }
@media (prefers-color-scheme: dark) { svg { filter: brightness(1.18) saturate(.95) } }
@media print { figure, tr { break-inside: avoid } }
"""


def page(report: dict[str, Any]) -> str:
    """The page of a report that fits ``bench.schema.json``; DependencyError without matplotlib."""
    title = _TITLES.get(report["kind"], plain(report["kind"]))
    board = plain(report["fingerprint"].get("board") or "this machine")
    body = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="lead">emotion-bench {_text(report["kind"])} on {_text(board)}</p>',
        _figures(report["figures"]),
        *(
            f"<figure><figcaption>{_text(name)}</figcaption>\n{drawn}</figure>"
            for name, drawn in plots(report)
        ),
        _measurements(report["measurements"]),
        _accuracy(report.get("accuracy", [])),
        _section(
            "Counts", _facts((name, _number(count)) for name, count in report.get("counts", {}).items())
        ),
        _section("Notes", "".join(f"<li>{_text(note)}</li>" for note in report.get("notes", [])), "ul"),
        _section("Where it ran", _facts(_flat(report["fingerprint"]))),
    ]
    return pages.page(
        f"emotion-bench {plain(report['kind'])}: {board}", "\n".join(filter(None, body)), _STYLE
    )


def _figures(figures: list[dict[str, Any]]) -> str:
    """Table of the figures; a column for what was asked where anything was."""
    if not figures:
        return ""
    goals = any(figure["asked"] for figure in figures)
    head = '<tr><th>figure</th><th>value</th><th>95 %</th><th class="text">unit</th>'
    lines = [head + ("<th>asked</th><th></th></tr>" if goals else "</tr>")]
    for figure in figures:
        note = f"<small>{_text(figure['note'])}</small>" if figure["note"] else ""
        cells = f"<td>{_text(figure['name'])}{note}</td><td>{_number(figure['value'])}</td>"
        cells += f'<td>{_interval(figure)}</td><td class="text">{_text(figure["unit"])}</td>'
        if goals:
            found = verdict(figure)
            mark = f' class="{"good" if found[0] else "bad"}">{found[1]}' if found else ">"
            cells += f"<td>{_text(figure['asked'])}</td><td{mark}</td>"
        lines.append(f"<tr>{cells}</tr>")
    return f'<h2>Figures</h2><div class="wide"><table>{"".join(lines)}</table></div>'


def _measurements(entries: list[dict[str, Any]]) -> str:
    """Table of the summaries; every part that is a dict is a quantile with its interval."""
    if not entries:
        return ""
    names = dict.fromkeys(
        name for entry in entries for name, part in entry["summary"].items() if isinstance(part, dict)
    )
    columns = [*names, "max"]
    heads = "".join(f"<th>{_text(name)}</th>" for name in columns)
    lines = [f"<tr><th>samples</th><th>n</th>{heads}</tr>"]
    for entry in entries:
        cells = "".join(f"<td>{_quantile(entry['summary'].get(name))}</td>" for name in columns)
        name = f"{_text(entry['name'])}<small>{_text(entry['group'])}, {_text(entry['unit'])}</small>"
        lines.append(f"<tr><td>{name}</td><td>{_number(entry['summary']['n'])}</td>{cells}</tr>")
    return f'<h2>Measurements</h2><div class="wide"><table>{"".join(lines)}</table></div>'


def _quantile(part: Any) -> str:
    if not isinstance(part, dict):
        return _number(part)
    interval = _interval(part)
    return _number(value_of(part)) + (f"<small>{interval}</small>" if interval else "")


def _accuracy(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = ["<tr><th>precision</th><th>accuracy</th><th>95 %</th><th>UAR</th><th>median, ms</th></tr>"]
    for row in rows:
        shares = [_percent(row.get(name)) for name in ("accuracy", "low", "high", "uar")]
        interval = f"{shares[1]} – {shares[2]}" if shares[1] and shares[2] else ""
        lines.append(
            f"<tr><td>{_text(row['precision'])}</td><td>{shares[0]}</td><td>{interval}</td><td>{shares[3]}</td>"
            f"<td>{_number(row['ms']) if 'ms' in row else ''}</td></tr>"
        )
    return f"<h2>Accuracy</h2><table>{''.join(lines)}</table>"


def _facts(pairs: Iterable[tuple[str, Any]]) -> str:
    return "".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in pairs)


def _section(title: str, rows: str, tag: str = 'table class="facts"') -> str:
    return f"<h2>{title}</h2><{tag}>{rows}</{tag.split()[0]}>" if rows else ""


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of every leaf, "libraries.numpy" of nested ones; a list of plain values is one leaf."""
    if isinstance(value, list) and not any(isinstance(part, (dict, list)) for part in value):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, "n/a" if value is None else value


def _interval(part: dict[str, Any]) -> str:
    """Few samples bound a far quantile on one side only."""
    low, high = part.get("low"), part.get("high")
    if _is_number(low) and _is_number(high):
        return f"{_number(low)} – {_number(high)}"
    if _is_number(low):
        return f"≥ {_number(low)}"
    return f"≤ {_number(high)}" if _is_number(high) else ""


def _number(value: Any) -> str:
    if value is None:
        return "n/a"
    if not _is_number(value):
        return _text(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return short(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _percent(value: Any) -> str:
    return f"{value:.2%}" if _is_number(value) else ""


def _text(value: object) -> str:
    return escape(plain(value))

"""The report that every benchmark makes: raw samples with summaries, derived figures, and a fingerprint.

A report is a plain dict that fits ``bench.schema.json``; ``write`` stores it as JSON, ``show`` formats it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from benchmarks.core import stats
from benchmarks.core.formatting import asked as target_of
from benchmarks.core.formatting import is_number, plain
from edge.errors import EdgeError
from edge.system.checked_file import FileRefused, read_checked
from edge.system.json_schema import problems

SCHEMA = "emotion-bench/1"
_MOST_BYTES = 100_000_000  # a soak of weeks is long
Report = dict[str, Any]


class ReportError(EdgeError):
    """A report that cannot be read, or two that have nothing in common."""


def measurement(
    name: str,
    rounds: Sequence[Sequence[float]],
    unit: str = "ms",
    group: str = "latency",
    better: str = "less",
) -> dict[str, Any]:
    """Raw samples by round with their summary; ``group`` selects the plot that they go to.

    Raises EdgeError if there is no sample.
    """
    rounded = [[float(f"{sample:.6g}") for sample in samples] for samples in rounds if len(samples)]
    if not rounded:
        raise EdgeError(
            f"{name}: 0 samples, expected 1 or more; no face was found or the run was too short: "
            "show a face, or measure longer"
        )
    return {
        "name": name, "group": group, "unit": unit, "better": better,
        "rounds": rounded, "summary": stats.summary([sample for samples in rounded for sample in samples]),
    }  # fmt: skip


def figure(
    name: str,
    value: float | Mapping[str, float | None] | None,
    unit: str = "",
    asked: str = "",
    note: str = "",
) -> dict[str, Any]:
    """A derived figure: a number, or value, low and high of a 95 % interval; None means not available.

    ``asked`` is a limit without which the measurement or its answers are wrong, never how fast something
    should be: that is for the reader to say.
    """
    parts = value if isinstance(value, Mapping) else {"value": value}
    return {"name": name, "unit": unit, "asked": asked, "note": note, **parts}


def report(
    kind: str,
    fingerprint: dict[str, Any],
    measurements: Sequence[dict[str, Any]] = (),
    figures: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> Report:
    """The report of one benchmark; ``more`` may hold counts, series, sensors, accuracy and notes."""
    return {
        "schema": SCHEMA, "kind": kind, "fingerprint": fingerprint,
        "measurements": list(measurements), "figures": list(figures), **more,
    }  # fmt: skip


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    return json.loads((files("benchmarks") / "bench.schema.json").read_text("utf-8"))


def read(path: Path) -> Report:
    """A report from its file; ReportError if the file holds none."""
    try:
        # Python accepts NaN, Infinity and 1e999, which are neither JSON nor measurements.
        document = json.loads(_text(path), parse_constant=_finite, parse_float=_finite, parse_int=_integer)
    except FileRefused as error:
        raise ReportError(f"{path} {error}; give a report of emotion-bench") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is not JSON; give a report that emotion-bench wrote") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        version = document.get("schema") if isinstance(document, dict) else None
        if version is None:
            raise ReportError(f"{path} is not a report; give a file that emotion-bench wrote with --json")
        raise ReportError(f"{path} has schema {version!r:.60}, expected {SCHEMA!r}; measure again")
    fault = next(problems(document, schema(), schema()), None)
    if fault:
        raise ReportError(f"{path} is not a report of emotion-bench: {plain(fault)}; measure again")
    return document


def _text(path: Path) -> str:
    return read_checked(path, _MOST_BYTES, follow=True).decode("utf-8-sig")


def _finite(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"{text} is not a JSON number")
    return value


def _integer(text: str) -> int:
    _finite(text)  # numpy could not hold a larger one
    return int(text)


def encoded(document: Mapping[str, Any]) -> bytes:
    """A report as it stands in its file."""
    return json.dumps(document, allow_nan=False).encode() + b"\n"


def verdict(entry: Mapping[str, Any]) -> tuple[bool, str] | None:
    """Whether a figure keeps its limit, and the verdict in words; None without a limit or a value."""
    target = target_of(dict(entry))
    if target is None or not is_number(entry["value"]):
        return None
    sign, limit = target
    parts: list[Any] = [entry.get(name) for name in ("value", "low", "high")]
    met = [part >= limit if sign == ">=" else part <= limit for part in parts if is_number(part)]
    return met[0], ("kept" if met[0] else "not kept") + ("" if len(set(met)) == 1 else ", uncertain")


def missed(report: Report) -> list[str]:
    """Names of the figures that do not keep their limit."""
    verdicts = ((entry["name"], verdict(entry)) for entry in report["figures"])
    return [name for name, result in verdicts if result is not None and not result[0]]


def show(report: Report) -> str:
    """The report as tables for a terminal."""
    lines = [f"{report['kind']} on {report['fingerprint'].get('board') or 'this machine'}", ""]
    if report["measurements"]:
        head = ["", "n", "mean", *stats.QUANTILES, "max"]
        lines += [*columns([head, *map(_summary_row, report["measurements"])]), ""]
    if report["figures"]:
        lines += columns([_figure_row(entry) for entry in report["figures"]], left=(0, 1, 2, 3))
    lines += [f"* {note}" for note in report.get("notes", [])]
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of a table, each column as wide as its widest cell; the columns in ``left`` align left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(
        cell.ljust(width) if at in left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip() for row in rows]  # fmt: skip


def _summary_row(entry: dict[str, Any]) -> list[str]:
    summary = entry["summary"]
    values = [summary["mean"], *(summary[name]["value"] for name in stats.QUANTILES), summary["max"]]
    cells = ("-" if value is None else f"{value:.3f}" for value in values)  # None: of too few samples
    return [f"{entry['name']}, {entry['unit']}", str(summary["n"]), *cells]


def _figure_row(entry: dict[str, Any]) -> list[str]:
    value = "n/a" if entry["value"] is None else f"{entry['value']:.4g}"
    if entry["value"] is not None and entry.get("low") is not None and entry.get("high") is not None:
        value += f" [{entry['low']:.4g}, {entry['high']:.4g}]"
    result = verdict(entry)
    limit = f"limit {entry['asked']}{f': {result[1]}' if result else ''}" if entry["asked"] else ""
    note = f"({entry['note']})" if entry["note"] else ""
    return [entry["name"], f"{value} {entry['unit']}".rstrip(), limit, note]

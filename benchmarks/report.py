"""What every benchmark gives: raw samples with their summaries, figures made from them, and where it ran.

A report is a plain dict that fits ``bench.schema.json``; ``write`` keeps it as JSON, ``show`` prints it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks import stats
from edge.errors import ConfigError
from edge.files import replace
from edge.schema import problems

SCHEMA = "emotion-bench/1"
Report = dict[str, Any]


def measurement(
    name: str,
    rounds: Sequence[Sequence[float]],
    unit: str = "ms",
    group: str = "latency",
    better: str = "less",
) -> dict[str, Any]:
    """Raw samples by round and their summary; ``group`` tells which plot they belong to."""
    kept = [[float(f"{sample:.6g}") for sample in part] for part in rounds if len(part)]
    return {
        "name": name, "group": group, "unit": unit, "better": better,
        "rounds": kept, "summary": stats.summary([sample for part in kept for sample in part]),
    }  # fmt: skip


def figure(
    name: str,
    value: float | Mapping[str, float | None] | None,
    unit: str = "",
    asked: str = "",
    note: str = "",
) -> dict[str, Any]:
    """One derived figure: a number, or value, low and high of a 95 % interval; None is not available."""
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
    """A report from its file; ConfigError where it is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the report {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error
    fault = next(problems(found, schema(), schema()), None)
    if fault:
        raise ConfigError(f"{path} is no report of emotion-bench: {fault}")
    return found


def write(path: Path, made: Report) -> None:
    """Keep a report, whole or not at all."""
    replace(path, json.dumps(made, allow_nan=False).encode())


def show(made: Report) -> str:
    """The tables that a terminal gets."""
    lines = [f"{made['kind']} on {made['fingerprint'].get('board') or 'this machine'}", ""]
    if made["measurements"]:
        lines += [_row("", "n", "mean", *stats.QUANTILES, "max")]
        lines += [_measured(entry) for entry in made["measurements"]] + [""]
    width = max((len(entry["name"]) for entry in made["figures"]), default=0)
    lines += [_figure(entry, width) for entry in made["figures"]]
    lines += [f"* {note}" for note in made.get("notes", [])]
    return "\n".join(lines)


def _measured(entry: dict[str, Any]) -> str:
    summary = entry["summary"]
    values = [summary["mean"], *(summary[name]["value"] for name in stats.QUANTILES), summary["max"]]
    return _row(f"{entry['name']}, {entry['unit']}", str(summary["n"]), *(f"{value:.3f}" for value in values))


def _row(name: str, *cells: str) -> str:
    return f"{name:40}" + "".join(f"{cell:>9}" for cell in cells)


def _figure(entry: dict[str, Any], width: int) -> str:
    if entry["value"] is None:
        value = "n/a"
    else:
        value = f"{entry['value']:.4g}"
        if entry.get("low") is not None and entry.get("high") is not None:
            value += f" [{entry['low']:.4g}, {entry['high']:.4g}]"
    asked = f"   asked {entry['asked']}" if entry["asked"] else ""
    note = f"   ({entry['note']})" if entry["note"] else ""
    return f"{entry['name']:{width}}  {value} {entry['unit']}{asked}{note}".rstrip()

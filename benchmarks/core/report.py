"""What every benchmark gives: raw samples with their summaries, figures made from them, and where it ran.

A report is a plain dict that fits ``bench.schema.json``; ``write`` keeps it as JSON, ``show`` prints it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from benchmarks.core import stats
from benchmarks.pages.formatting import asked as wanted_of
from benchmarks.pages.formatting import plain
from edge.errors import ConfigError, EdgeError
from edge.system.atomic_write import atomic_write
from edge.system.json_schema import problems

SCHEMA = "emotion-bench/1"
Report = dict[str, Any]


class ReportError(EdgeError):
    """A report that cannot be read, or two that have nothing to compare."""


def measurement(
    name: str,
    rounds: Sequence[Sequence[float]],
    unit: str = "ms",
    group: str = "latency",
    better: str = "less",
) -> dict[str, Any]:
    """Raw samples by round and their summary; ``group`` tells which plot they belong to.

    Raises EdgeError where there is no sample: a summary of nothing says nothing.
    """
    kept = [[float(f"{sample:.6g}") for sample in part] for part in rounds if len(part)]
    if not kept:
        raise EdgeError(
            f"{name}: 0 samples, expected 1 or more; no face was found or the run was too short: "
            "show a face, or measure longer"
        )
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
    """A report from its file; ReportError where it is none."""
    try:
        # Python reads NaN, Infinity and 1e999, which are no JSON and no measurement.
        found = json.loads(
            path.read_text("utf-8"), parse_constant=_finite, parse_float=_finite, parse_int=_integer
        )
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}; give a report") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is no JSON; give a report that emotion-bench wrote") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        version = found.get("schema") if isinstance(found, dict) else type(found).__name__
        raise ReportError(f"{path} has schema {version!r:.60}, expected {SCHEMA!r}; measure again")
    fault = next(problems(found, schema(), schema()), None)
    if fault:
        raise ReportError(f"{path} is no report of emotion-bench: {plain(fault)}; measure again")
    return found


def _finite(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return value


def _integer(text: str) -> int:
    _finite(text)  # numpy could not take a larger one
    return int(text)


def check_writable(path: Path | None) -> None:
    """Raise ConfigError where a file could not be written there: before a run, not after it."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        raise ConfigError(f"{path} cannot be written: it is a folder; give a file in it")
    if not folder.is_dir():
        raise ConfigError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {path}: the folder {folder} takes no files; choose another")


def write(path: Path, made: Report) -> None:
    """Keep a report, whole or not at all."""
    atomic_write(path, json.dumps(made, allow_nan=False).encode())


def verdict(entry: Mapping[str, Any]) -> tuple[bool, str] | None:
    """Whether a figure is what was asked, and in words; None where nothing countable was asked or found."""
    goal = wanted_of(dict(entry))
    if goal is None or not _is_number(entry["value"]):
        return None
    sign, wanted = goal
    parts: list[Any] = [entry.get(name) for name in ("value", "low", "high")]
    met = [part >= wanted if sign == ">=" else part <= wanted for part in parts if _is_number(part)]
    return met[0], ("met" if met[0] else "missed") + ("" if len(set(met)) == 1 else ", uncertain")


def missed(made: Report) -> list[str]:
    """Names of the figures that are not what was asked."""
    judged = ((entry["name"], verdict(entry)) for entry in made["figures"])
    return [name for name, found in judged if found is not None and not found[0]]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def show(made: Report) -> str:
    """The tables that a terminal gets."""
    lines = [f"{made['kind']} on {made['fingerprint'].get('board') or 'this machine'}", ""]
    if made["measurements"]:
        head = ["", "n", "mean", *stats.QUANTILES, "max"]
        lines += [*columns([head, *map(_measured, made["measurements"])]), ""]
    if made["figures"]:
        lines += columns([_figure(entry) for entry in made["figures"]], left=(0, 1, 2, 3))
    lines += [f"* {note}" for note in made.get("notes", [])]
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of a table, each column as wide as its widest cell; those of ``left`` begin flush."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(
        cell.ljust(width) if at in left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip() for row in rows]  # fmt: skip


def _measured(entry: dict[str, Any]) -> list[str]:
    summary = entry["summary"]
    values = [summary["mean"], *(summary[name]["value"] for name in stats.QUANTILES), summary["max"]]
    return [f"{entry['name']}, {entry['unit']}", str(summary["n"]), *(f"{value:.3f}" for value in values)]


def _figure(entry: dict[str, Any]) -> list[str]:
    value = "n/a" if entry["value"] is None else f"{entry['value']:.4g}"
    if entry["value"] is not None and entry.get("low") is not None and entry.get("high") is not None:
        value += f" [{entry['low']:.4g}, {entry['high']:.4g}]"
    found = verdict(entry)
    asked = f"asked {entry['asked']}{f': {found[1]}' if found else ''}" if entry["asked"] else ""
    note = f"({entry['note']})" if entry["note"] else ""
    return [entry["name"], f"{value} {entry['unit']}".rstrip(), asked, note]

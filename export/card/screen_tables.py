"""What is on screen as Markdown: a table of clips, and a list of figures for each generated set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from export.metrics.on_screen import RULES


def clips(figures: dict[str, Any]) -> str:
    """The clips as Markdown: of each the steps, and changes a second by every rule."""
    lines = [
        "| clip | seconds | faces | steps | changes: "
        + ", ".join(RULES)
        + " | a second | uncertain | dwell, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in {**figures["of"], "all": figures}.items():
        by = [row["steadiness"][rule] for rule in RULES]
        cells = [
            f"{row['seconds']:.0f}",
            str(row["tracks"]),
            str(by[0]["steps"]),
            ", ".join(str(one["changes"]) for one in by),
            ", ".join(f"{one['changes_per_s']:.2f}" for one in by),
            ", ".join(f"{one['uncertain']:.1%}" for one in by),
            ", ".join(f"{one['dwell_s']:.2f}" for one in by),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for key in ("false_answers", "tracks_an_hour"):
        if key in figures:
            lines += ["", f"{key.replace('_', ' ')}: {per_hour(figures[key])}"]
    return "\n".join(lines)


def per_hour(row: Mapping[str, Any]) -> str:
    """A rate in words."""
    if not row["hours"]:
        return "no time was measured"
    return (
        f"{row['events']} in {row['hours']:.3f} hours, {row['per_hour']:.1f} an hour (95 %: at most "
        f"{row['upper_95']:.1f})"
    )


def generated(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Each set under its name: figures by rule in a table, others one a line."""
    parts = []
    for name, figures in sets.items():
        rows = dict(_flat(figures))
        by_rule: dict[str, dict[str, Any]] = {}
        rest = []
        for key, value in rows.items():
            words = key.split(" ")
            rule = next((word for word in words if word in RULES), None)
            if rule is None:
                rest.append(f"- {key}: {value}")
            else:
                by_rule.setdefault(" ".join(word for word in words if word != rule), {})[rule] = value
        lines = [f"## {name}", *rest]
        if by_rule:
            lines += ["", "| figure | " + " | ".join(RULES) + " |", "|---|" + "---|" * len(RULES)]
            lines += [
                f"| {key} | " + " | ".join(str(row.get(rule, "")) for rule in RULES) + " |"
                for key, row in by_rule.items()
            ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _flat(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested figures as (names, value)."""
    for key, value in figures.items():
        name = f"{before} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, value

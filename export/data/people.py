"""Pictures of the same people with and without an expression, and a table of who these people are."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.capture.picture_headers import SUFFIXES
from edge.errors import EdgeError, reason
from export.data.datasets import age_group

log = logging.getLogger("export")
_MOST_VALUES = 20  # of a column that tells groups


@dataclass(frozen=True)
class Pair:
    """The two pictures of a ``person``, and the groups that the person belongs to."""

    person: str
    neutral: Path
    expressive: Path
    groups: Mapping[str, str] = field(default_factory=dict)


def read(root: Path, neutral: str, expressive: str, table: Path | None = None) -> list[Pair]:
    """Pairs in the order of the persons' names.

    ``neutral`` and ``expressive`` are folders in ``root``, or names of files in which ``*`` stands for the
    person: ``neutral``, ``*_neutral.jpg``. EdgeError where a person has one picture only, or there are fewer
    than two persons.
    """
    if not root.is_dir():
        raise EdgeError(f"{root} is no folder; pass the folder with the pictures of both kinds")
    first, second = _pictures(root, neutral), _pictures(root, expressive)
    for have, lack, pattern in ((first, second, expressive), (second, first, neutral)):
        alone = sorted(have.keys() - lack.keys())
        if alone:
            raise EdgeError(
                f"{have[alone[0]]} has no counterpart {_counterpart(pattern, alone[0])} in {root}, one of "
                f"{len(alone)} such; add it, or take the picture away"
            )
    if len(first) < 2:
        raise EdgeError(
            f"{root} has pictures of {len(first)} person{'s' * (len(first) != 1)} by {neutral!r} and "
            f"{expressive!r}, expected 2 or more; see --neutral and --expressive"
        )
    pairs = [Pair(person, first[person], second[person]) for person in sorted(first)]
    return _grouped(pairs, table) if table else pairs


def _pictures(root: Path, pattern: str) -> dict[str, Path]:
    """Pictures by person."""
    place = root / pattern
    folder, name = (place.parent, place.name) if "*" in pattern else (place, "*")
    if Path(name).suffix.lower() in SUFFIXES:
        name = Path(name).stem
    before, star, after = name.partition("*")
    if not star or "*" in after or "*" in str(folder):
        raise EdgeError(
            f"{pattern!r} has more than one *, or one in a folder; it stands for the person, once"
        )
    if not folder.is_dir():
        raise EdgeError(f"{folder} is no folder; name folders of {root} with --neutral and --expressive")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem, long = path.stem, len(before) + len(after)
        fits = stem.startswith(before) and stem.endswith(after) and len(stem) > long
        if path.suffix.lower() in SUFFIXES and fits:
            person = stem[len(before) : len(stem) - len(after)]
            if person in found:
                raise EdgeError(f"{found[person]} and {path.name} are of one person; take one away")
            found[person] = path
    return found


def _counterpart(pattern: str, person: str) -> str:
    return pattern.replace("*", person) if "*" in pattern else f"{pattern}/{person}"


def _grouped(pairs: Sequence[Pair], table: Path) -> list[Pair]:
    """Pairs with the groups of a CSV: its first column names the person, each other one is a group."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            header, *rows = [row for row in csv.reader(lines) if row] or [["nothing"]]
    except (OSError, ValueError, csv.Error) as error:
        raise EdgeError(
            f"{table} cannot be read ({reason(error)}); expected a CSV with a header, the person first"
        ) from error
    people: dict[str, dict[str, str]] = {}
    for row in rows:
        if len(row) != len(header):
            raise EdgeError(
                f"{table}: {row[0]!r} has {len(row)} values, the header {len(header)}; mend the line"
            )
        if row[0] in people:
            raise EdgeError(f"{table} names {row[0]!r} twice; take one line away")
        people[row[0]] = {name: _value(name, text) for name, text in zip(header[1:], row[1:], strict=True)}
    missing = [pair.person for pair in pairs if pair.person not in people]
    if len(missing) == len(pairs):
        raise EdgeError(
            f"{table} names none of the persons, such as {missing[0]!r}, in its column {header[0]!r}"
        )
    if missing:
        log.warning("%s lacks %d of %d persons; they are in no group", table, len(missing), len(pairs))
    names = [name for name in header[1:] if _tells_groups(name, table, people)]
    return [
        replace(pair, groups={name: people[pair.person][name] for name in names if people[pair.person][name]})
        if pair.person in people
        else pair
        for pair in pairs
    ]


def _value(name: str, text: str) -> str:
    """A value as a group; of an age its band, "" where there is none."""
    if "age" in name.lower().split("_"):
        return age_group(int(text)) if text.isdigit() else ""
    return text.strip()


def _tells_groups(name: str, table: Path, people: Mapping[str, Mapping[str, str]]) -> bool:
    count = len({person[name] for person in people.values()})
    if count > _MOST_VALUES:
        log.warning("%s: %s has %d values, too many for groups; it is left out", table, name, count)
    return count <= _MOST_VALUES

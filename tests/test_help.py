"""What --help prints: every command and option in a phrase that needs no knowledge of our source."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator

import pytest

OURS = r"\b(?:gate|harness|fold|sink|luma|roofline|qdq|codec|kwargs)\b"  # words of the source, not of a user


def actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str | None]]:
    """Name and help of every command and option that is shown."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                yield f"{parser.prog} {choice.dest}", choice.help
            for command in action.choices.values():
                yield from actions(command)
        elif action.help != argparse.SUPPRESS and action.dest not in ("help", "version"):
            yield f"{parser.prog} {'/'.join(action.option_strings) or action.dest}", action.help


@pytest.mark.parametrize("package", ["edge", "export", "calibration", "benchmarks"])
def test_every_command_and_option_is_explained(package: str) -> None:
    if package == "export":
        pytest.importorskip("torch")
    module = importlib.import_module("edge.cli.program" if package == "edge" else f"{package}.program")
    found = list(actions(module._parser()))
    assert len(found) > 10
    assert not [name for name, told in found if not told or len(told.split()) < 3]
    assert not [(name, told) for name, told in found if re.search(OURS, str(told))]

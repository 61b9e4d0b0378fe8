"""Checkpoints of a training stage: whole or not there, and bound to the recipe that made them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edge.errors import EdgeError


def resume(path: Path, parts: Mapping[str, Any], recipe: object) -> int:
    """Load what ``save`` wrote into ``parts``; the epochs that were done, 0 where there is no file.

    EdgeError where ``recipe`` is another one.
    """
    if not path.is_file():
        return 0
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if saved["recipe"] != repr(recipe):
        raise EdgeError(f"{path} was made by another recipe; pass another --work folder")
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    print(f"resuming after epoch {saved['epoch']}", file=sys.stderr)
    return int(saved["epoch"])


def save(path: Path, parts: Mapping[str, Any], recipe: object, epoch: int) -> None:
    """Write the state of ``parts`` (whatever has a ``state_dict``) after ``epoch`` epochs."""
    state = {name: part.state_dict() for name, part in parts.items()}
    fresh = path.with_suffix(".new")
    torch.save({**state, "recipe": repr(recipe), "epoch": epoch}, fresh)
    os.replace(fresh, path)

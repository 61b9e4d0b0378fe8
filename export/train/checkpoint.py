"""Checkpoints of a training stage: complete or absent, and tied to the recipe that made them."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError  # nosec B403
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from edge.errors import EdgeError
from edge.system.atomic_write import atomic_write


def resume(path: Path, parts: Mapping[str, Any], recipe: object) -> int:
    """Load what ``save`` wrote into ``parts``; the epochs that were done, 0 where there is no file.

    EdgeError where ``recipe`` is another one, or the file is damaged.
    """
    if not path.is_file():
        return 0
    saved = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    if saved["recipe"] != repr(recipe):
        raise EdgeError(f"{path} was made with another recipe; pass another --work folder")
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    print(f"resuming after epoch {saved['epoch']}", file=sys.stderr)
    return int(saved["epoch"])


def save(path: Path, parts: Mapping[str, Any], recipe: object, epoch: int) -> None:
    """Write the state of ``parts`` (whatever has a ``state_dict``) after ``epoch`` epochs."""
    content = io.BytesIO()
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "recipe": repr(recipe), "epoch": epoch}, content)
    atomic_write(path, content.getvalue())


def averaged(path: Path) -> tuple[str, dict[str, Any]]:
    """The encoder of a frame stage's checkpoint and its averaged weights; EdgeError where it is damaged."""
    saved = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    found = re.search(r"encoder='([^']*)'", str(saved.get("recipe")))
    if not found or "averaged" not in saved:
        raise EdgeError(f"{path} is no checkpoint of a frame stage; pass the folder of one")
    return found[1], saved["averaged"]


def save_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write an .npz."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options
    atomic_write(path, content.getvalue())


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays that ``save_arrays`` wrote; EdgeError where the file is damaged."""

    def arrays() -> dict[str, npt.NDArray[Any]]:
        with path.open("rb") as file, np.load(file) as archive:
            return dict(archive)

    return _read(path, arrays)


def _read(path: Path, load: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return load()
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, UnpicklingError, BadZipFile) as error:
        raise EdgeError(f"{path} is damaged ({error}); remove it to have it made again") from error

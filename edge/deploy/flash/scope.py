"""What may change in a root file system while a kit goes in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.deploy.flash.entries import below


@dataclass(frozen=True)
class Scope:
    """What may change. ``deep``: folders with all that they hold; ``listed``: whose names come and go.

    ``paths``: single ones. A folder among them that is there stays, one that is not may hold anything later.
    """

    paths: tuple[str, ...]
    deep: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    ours: str = "emotion-edge"  # files of listed folders that are kept, by the start of their names

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Scope:
        """As a manifest holds it: JSON has no tuples."""
        values = dict[str, Any]()
        for name, value in given.items():
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def entries(self, root: Path) -> Iterator[tuple[str, bool]]:
        """Each path in it, as it is now, and whether its content counts."""
        for path in self.paths:
            yield from ((str(parent), True) for parent in reversed(Path(path).parents) if parent.name)
            yield path, True
        for path in self.deep:
            yield path, True
            yield from ((inner, True) for inner in self._below(root, path))
        for path in self.listed:
            if (root / path).is_dir():
                for name in sorted(os.listdir(root / path)):
                    yield f"{path}/{name}", name.startswith(self.ours)

    def _below(self, root: Path, path: str) -> Iterator[str]:
        if (root / path).is_dir() and not (root / path).is_symlink():
            for name in below(root / path):
                if not f"{path}/{name}".startswith(tuple(f"{listed}/" for listed in self.listed)):
                    yield f"{path}/{name}"

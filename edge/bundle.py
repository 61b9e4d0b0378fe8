"""A bundle: a folder with manifest.json, one ONNX file per precision, golden.npz and a model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import BundleError
from edge.system.json_schema import problems

_HERE = Path(__file__).parent
REFERENCE = _HERE / "models" / "reference"


@dataclass(frozen=True)
class StateTensor:
    """One recurrent state: input and output name in the graph, shape of one row."""

    input: str
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest fits the schema and whose files have the hashes it names."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.manifest["labels"])

    @property
    def state(self) -> tuple[StateTensor, ...]:
        return tuple(
            StateTensor(row["input"], row["output"], tuple(row["shape"])) for row in self.manifest["state"]
        )

    @property
    def precisions(self) -> tuple[str, ...]:
        return tuple(self.manifest["files"])

    def model(self, precision: str) -> Path:
        """Path of the ONNX file of one precision; BundleError names the ones there are."""
        entry = self.manifest["files"].get(precision)
        if entry is None:
            raise BundleError(
                f"bundle {self.folder} has no precision {precision!r}; it has {', '.join(self.precisions)}"
            )
        return self.folder / entry["path"]


def load(folder: Path, unchecked: Collection[str] = ()) -> Bundle:
    """Read and check a bundle; no file but the manifest is parsed before its hash was right.

    ``unchecked`` names entries of the manifest ("card") whose files may be missing or changed.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        missing = f"no bundle at {folder}: manifest.json is missing"
        raise BundleError(f"{missing}; name the folder of a bundle") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error}); export the bundle again") from error
    schema = manifest_schema()
    for problem in problems(manifest, schema, schema):
        raise BundleError(f"{path}: {problem}; export the bundle again")
    bundle = Bundle(folder, manifest)
    for entry in entries(manifest, unchecked):
        check_hash(folder / entry["path"], entry["sha256"])
    return bundle


def entries(manifest: dict[str, Any], but: Collection[str] = ()) -> list[dict[str, str]]:
    """The "path" and "sha256" of every file that a manifest names, ``but`` for some."""
    single = [key for key in ("golden", "card", "picture", "per_frame") if key in manifest and key not in but]
    return [*manifest["files"].values(), *(manifest[key] for key in single)]


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of manifest.json, as shipped."""
    schema: dict[str, Any] = json.loads((_HERE / "manifest.schema.json").read_text("utf-8"))
    return schema


def check_hash(path: Path, expected: str) -> None:
    """Raise BundleError unless the file's SHA-256 is ``expected`` (64 hex digits)."""
    try:
        found = sha256(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); copy the whole bundle again") from error
    if found != expected:
        raise BundleError(
            f"{path} is not the file of its manifest: sha256 {found[:12]}..., expected {expected[:12]}...; "
            "copy or export the bundle again"
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

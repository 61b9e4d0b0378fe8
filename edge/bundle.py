"""A bundle: a folder with manifest.json, one ONNX file per precision, golden.npz and a model card."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.errors import BundleError, reason
from edge.manifest import Manifest, StateTensor, parse, upgraded
from edge.system.hashing import sha256
from edge.system.json_schema import problems

__all__ = ["REFERENCE", "Bundle", "StateTensor", "check_hash", "load", "manifest_schema"]

_HERE = Path(__file__).parent
REFERENCE = _HERE / "models" / "reference"
EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest fits the schema and whose files have the hashes it names."""

    folder: Path
    manifest: Manifest
    inline: Mapping[str, Any] = field(default_factory=dict)  # figures and training of a format 1 manifest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def state(self) -> tuple[StateTensor, ...]:
        return self.manifest.state

    @property
    def precisions(self) -> tuple[str, ...]:
        return tuple(self.manifest.files)

    def model(self, precision: str) -> Path:
        """Path of the ONNX file of one precision; BundleError lists the available ones."""
        entry = self.manifest.files.get(precision)
        if entry is None:
            raise BundleError(
                f"bundle {self.folder} has no precision {precision!r}; "
                f"choose one of {', '.join(self.precisions)}"
            )
        return self.folder / entry.path

    def record(self) -> dict[str, Any]:
        """evaluation.json: measured ``figures`` and how the weights were trained (``training``), or {}."""
        if self.manifest.evaluation is None:
            return dict(self.inline)
        return _read_json(self.folder / self.manifest.evaluation.path)


def load(folder: Path | None = None, unchecked: Collection[str] = ()) -> Bundle:
    """Read and check the bundle in ``folder`` (default: the reference bundle).

    Every file but the manifest has its hash checked before it is parsed. ``unchecked`` names manifest
    entries ("card") whose files may be missing or changed. BundleError names the file, the fault and the fix.
    """
    folder = REFERENCE if folder is None else Path(folder)
    path = folder / "manifest.json"
    if folder.is_file():
        raise BundleError(f"{folder} is a file, expected the folder of a bundle, with its manifest.json")
    if not path.exists():
        raise BundleError(f"no bundle at {folder}: manifest.json is missing; give the folder of a bundle")
    schema = manifest_schema()
    document, inline = upgraded(_read_json(path))
    for problem in problems(document, schema, schema):
        raise BundleError(f"{path}: {problem}; export the bundle again")
    bundle = Bundle(folder, parse(document), inline)
    for entry in bundle.manifest.listed(unchecked):
        check_hash(folder / entry.path, entry.sha256)
    return bundle


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of manifest.json, as shipped."""
    schema: dict[str, Any] = json.loads((_HERE / "manifest.schema.json").read_text("utf-8"))
    return schema


def check_hash(path: Path, expected: str) -> None:
    """Raise BundleError unless the file's SHA-256 is ``expected`` (64 hex digits)."""
    try:
        digest = sha256(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); copy the whole bundle again") from error
    if digest != expected:
        raise BundleError(
            f"{path} does not match its manifest: sha256 {digest[:12]}..., expected {expected[:12]}...; "
            "copy or export the bundle again"
        )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({reason(error)}); export the bundle again") from error

"""A bundle: a folder with manifest.json, one ONNX file per precision, golden.npz and a model card."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.config import LimitsConfig
from edge.errors import BundleError, reason
from edge.manifest import BundleFile, Manifest, StateTensor, contradictions, parse, upgraded
from edge.system import strict_json
from edge.system.checked_file import FileRefused, hash_checked, read_checked
from edge.system.json_schema import problems

__all__ = ["REFERENCE", "Bundle", "StateTensor", "load", "manifest_schema"]

_HERE = Path(__file__).parent
REFERENCE = _HERE / "models" / "reference"
EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest fits the schema and whose files have the hashes it names."""

    folder: Path
    manifest: Manifest
    inline: Mapping[str, Any] = field(default_factory=dict)  # figures and training of a format 1 manifest
    limits: LimitsConfig = field(default_factory=LimitsConfig)

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

    def read_model(self, precision: str) -> bytes:
        """The ONNX file of one precision, with its hash checked again: what is parsed is what was hashed."""
        self.model(precision)  # lists the available ones
        return self.read(self.manifest.files[precision])

    def read(self, entry: BundleFile) -> bytes:
        """The bytes of a file that the manifest names; BundleError if it changed meanwhile."""
        path = self.folder / entry.path
        try:
            content = read_checked(path, self._most_bytes(entry))
        except FileRefused as error:
            raise _refused(path, error) from error
        if entry.sha256:  # a bundle that is being written has none yet
            _compare(path, hashlib.sha256(content).hexdigest(), entry.sha256)
        return content

    def record(self) -> dict[str, Any]:
        """evaluation.json: measured ``figures`` and how the weights were trained (``training``), or {}."""
        if self.manifest.evaluation is None:
            return dict(self.inline)
        path = self.folder / self.manifest.evaluation.path
        return _object(path, self.read(self.manifest.evaluation))

    def check(self, entry: BundleFile) -> None:
        """Raise BundleError unless a file that the manifest names is regular, small enough and unchanged."""
        path = self.folder / entry.path
        try:
            digest = hash_checked(path, self._most_bytes(entry))
        except FileRefused as error:
            raise _refused(path, error) from error
        _compare(path, digest, entry.sha256)

    def _most_bytes(self, entry: BundleFile) -> int:
        if entry in self.manifest.files.values():
            return _bytes(self.limits.model_mb)
        return _bytes(self.limits.evaluation_mb if entry == self.manifest.evaluation else self.limits.file_mb)


def load(
    folder: Path | None = None, unchecked: Collection[str] = (), limits: LimitsConfig | None = None
) -> Bundle:
    """Read and check the bundle in ``folder`` (default: the reference bundle).

    Every file is a regular one within ``limits``, and has its hash checked before it is parsed. ``unchecked``
    names manifest entries ("card") whose files may be missing or changed. BundleError names the file, the
    fault and the fix.
    """
    folder, limits = REFERENCE if folder is None else Path(folder), limits or LimitsConfig()
    path = folder / "manifest.json"
    if folder.is_file():
        raise BundleError(f"{folder} is a file, expected the folder of a bundle, with its manifest.json")
    if not os.path.lexists(path):
        raise BundleError(f"no bundle at {folder}: manifest.json is missing; give the folder of a bundle")
    try:
        content = read_checked(path, _bytes(limits.manifest_mb))
    except FileRefused as error:
        raise _refused(path, error) from error
    schema = manifest_schema()
    document, inline = upgraded(_object(path, content))
    for problem in problems(document, schema, schema):
        raise BundleError(f"{path}: {problem}; export the bundle again")
    bundle = Bundle(folder, parse(document), inline, limits)
    for problem in contradictions(bundle.manifest):
        raise BundleError(f"{path}: {problem}; export the bundle again")
    for entry in bundle.manifest.listed(unchecked):
        bundle.check(entry)
    return bundle


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of manifest.json, as shipped."""
    schema: dict[str, Any] = json.loads((_HERE / "manifest.schema.json").read_text("utf-8"))
    return schema


def _bytes(megabytes: float) -> int:
    return int(megabytes * 1e6)


def _refused(path: Path, why: FileRefused) -> BundleError:
    fix = "set a higher limit in [limits]" if "at most" in str(why) else "copy the whole bundle again"
    return BundleError(f"{path} {why}; {fix}")


def _compare(path: Path, digest: str, expected: str) -> None:
    if digest != expected:
        raise BundleError(
            f"{path} does not match its manifest: sha256 {digest[:12]}..., expected {expected[:12]}...; "
            "copy or export the bundle again"
        )


def _object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = strict_json.loads(content)
        if not isinstance(document, dict):
            raise ValueError("it holds no object")
    except ValueError as error:
        raise BundleError(f"{path} cannot be read ({reason(error)}); export the bundle again") from error
    return document

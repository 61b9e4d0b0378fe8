"""Write a bundle: everything into a new folder beside the target, then one rename."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from edge.bundle import EVALUATION, Bundle, load
from edge.engines.backends import model_bytes
from edge.errors import BundleError
from edge.manifest import BundleFile, Manifest
from edge.system.atomic_write import sync
from edge.system.hashing import sha256

CARD, PICTURE = "model-card.md", "model-card.png"
SCHEMA = "emotion-edge-evaluation/1"  # of evaluation.json


def write_bundle(folder: Path, fill: Callable[[Path], Bundle]) -> None:
    """Let ``fill`` put files into an empty folder and return the bundle there; then swap it for ``folder``.

    ``fill`` names files by their paths only; hashes are added here, and the record becomes evaluation.json.
    Either the whole bundle appears at once or the old one stays; BundleError where it is not valid or the
    disk is full. Files in ``folder`` that are no part of its bundle stay there.
    """
    folder = folder.resolve()  # "." cannot be renamed, and a link should stay one
    fresh = _beside(folder)
    try:
        bundle = fill(fresh)
        manifest = _with_hashes(_with_record(bundle.manifest, bundle.record(), fresh), fresh)
        (fresh / "manifest.json").write_text(json.dumps(manifest.to_dict(), indent=2) + "\n", "utf-8")
        _check(load(fresh))
        fresh.chmod(0o755)
        for path in (*fresh.iterdir(), fresh):
            sync(path)
        if folder.exists():
            _keep_others(folder, fresh)
        _swap(fresh, folder)
    except OSError as error:
        raise BundleError(
            f"{folder} cannot be written ({error.strerror or error}); free space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check(bundle: Bundle) -> None:
    """Refuse here, and not only on the board, a network that is no step for the runtime."""
    for precision in bundle.precisions:
        model_bytes(bundle, precision)


def check_target(folder: Path) -> None:
    """BundleError where no bundle could be written to ``folder``; for use before long work."""
    _beside(folder.resolve()).rmdir()


def draft(bundle: Bundle, folder: Path) -> Bundle:
    """Copy ``bundle`` into ``folder``, to be changed there: writable, with today's names of files."""
    for file in bundle.folder.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)  # without its permissions
    manifest, record = replace(bundle.manifest, evaluation=None), bundle.record()
    if "agreement" in manifest.proof:  # format 1 kept it in the manifest
        record["agreement"] = manifest.proof["agreement"]
        manifest = replace(manifest, proof={k: v for k, v in manifest.proof.items() if k != "agreement"})
    if manifest.card and manifest.picture and (folder / manifest.card.path).is_file():
        text = (folder / manifest.card.path).read_text("utf-8")
        (folder / manifest.card.path).unlink()
        (folder / CARD).write_text(text.replace(manifest.picture.path, PICTURE), "utf-8")
        (folder / manifest.picture.path).rename(folder / PICTURE)
        manifest = replace(manifest, card=BundleFile(CARD), picture=BundleFile(PICTURE))
    return Bundle(folder, manifest, record)


def _beside(folder: Path) -> Path:
    """A new empty folder on the same file system as ``folder``."""
    if folder.exists() and not _is_bundle(folder):
        raise BundleError(f"{folder} exists and is not a bundle; choose another folder or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise BundleError(
            f"cannot write into {folder.parent} ({error.strerror}); make it writable or choose another folder"
        ) from error


def _is_bundle(folder: Path) -> bool:
    """Whether its manifest.json is one of ours; web pages have a file of that name, too."""
    try:
        document = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"format", "name", "files"} <= document.keys()


def _with_record(manifest: Manifest, record: dict[str, Any], folder: Path) -> Manifest:
    """Write ``record`` as evaluation.json; without one there is no such file."""
    (folder / EVALUATION).unlink(missing_ok=True)
    if not record:
        return replace(manifest, evaluation=None)
    text = json.dumps({"schema": SCHEMA, **record}, indent=1)
    (folder / EVALUATION).write_text(re.sub(r"[\[{]\n[^][{}]*[]}]", _one_line, text) + "\n", "utf-8")
    return replace(manifest, evaluation=BundleFile(EVALUATION))


def _one_line(innermost: re.Match[str]) -> str:
    """A short list or object of JSON without its line breaks, which are never part of a string."""
    line = re.sub(r"\n\s*", " ", innermost[0])
    return line if len(line) <= 100 else innermost[0]


def _with_hashes(manifest: Manifest, folder: Path) -> Manifest:
    def hashed(entry: BundleFile) -> BundleFile:
        return replace(entry, sha256=sha256(folder / entry.path))

    changes: dict[str, Any] = {"files": {name: hashed(entry) for name, entry in manifest.files.items()}}
    for entry in fields(manifest):
        if isinstance(value := getattr(manifest, entry.name), BundleFile):
            changes[entry.name] = hashed(value)
    return replace(manifest, **changes)


def _keep_others(folder: Path, fresh: Path) -> None:
    """Copy what lies in the old folder and is no part of its bundle; moving could lose it at a stop."""
    parts = {"manifest.json", EVALUATION, CARD, PICTURE, "proof.html", "golden.npz"}
    parts |= set(_paths_in(json.loads((folder / "manifest.json").read_text("utf-8"))))
    for path in folder.iterdir():
        copy = fresh / path.name
        if path.name in parts or os.path.lexists(copy):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, copy, symlinks=True)
        else:
            shutil.copy2(path, copy, follow_symlinks=False)


def _paths_in(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key == "path" and isinstance(value, str))
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from _paths_in(value)


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    try:
        folder.rename(old / "bundle")
        fresh.rename(folder)
        sync(folder.parent)
    except BaseException:  # Ctrl-C between the two as well
        if not folder.exists():
            (old / "bundle").rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)

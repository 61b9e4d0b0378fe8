"""Write a bundle: everything into a fresh folder beside the target, then one rename."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.bundle import entries, load, sha256
from edge.errors import BundleError


def write_bundle(folder: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Let ``fill`` put files into an empty folder and return the manifest; then swap it for ``folder``.

    ``fill`` names its files by path only; hashes are added here.
    Either the whole bundle appears at once or the old one stays; BundleError where it is not valid.
    """
    folder = folder.resolve()  # "." cannot be renamed, and a link should stay one
    fresh = _beside(folder)
    try:
        manifest = fill(fresh)
        _add_hashes(manifest, fresh)
        (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        load(fresh)
        fresh.chmod(0o755)
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_target(folder: Path) -> None:
    """BundleError where no bundle could be written to ``folder``; for use before long work."""
    _beside(folder.resolve()).rmdir()


def copy_files(source: Path, target: Path) -> None:
    """Copy the files of a bundle without their permissions: a copy of a read-only one is to be written to."""
    for file in source.iterdir():
        if file.is_file():
            shutil.copyfile(file, target / file.name)


def _beside(folder: Path) -> Path:
    """A new empty folder on the same file system as ``folder``."""
    if folder.exists() and not (folder / "manifest.json").is_file():
        raise BundleError(f"{folder} exists and is no bundle; choose another folder or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise BundleError(
            f"cannot write into {folder.parent} ({error.strerror}); make it writable or choose another folder"
        ) from error


def _add_hashes(manifest: dict[str, Any], folder: Path) -> None:
    for entry in entries(manifest):
        entry["sha256"] = sha256(folder / entry["path"])


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    try:
        folder.rename(old / "bundle")
        fresh.rename(folder)
    except BaseException:  # Ctrl-C between the two as well
        if not folder.exists():
            (old / "bundle").rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)

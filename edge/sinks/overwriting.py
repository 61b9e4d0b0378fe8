"""No output overwrites another one, or anything that the same run reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from edge.bundle import REFERENCE
from edge.capture.sources import find
from edge.config import Config
from edge.errors import ConfigError, EdgeError
from edge.sinks.outputs import files
from edge.system.cache import cache_folder
from edge.system.output_file import refuse_inputs


def refuse_overwriting(config: Config) -> None:
    """Raise ConfigError if one output is another, or is read, under any name; ``force`` does not help."""
    paths = files(config.output)
    taken: dict[Path, str] = {}
    for key, path in paths.items():
        real = Path(os.path.realpath(path))
        if real in taken:
            raise ConfigError(f"{key} is {path}, which is also {taken[real]}; choose another file")
        refuse_inputs({key: path}, [(other, paths[other]) for other in taken.values()])  # by a hard link
        taken[real] = key
    if paths:
        refuse_inputs(paths, inputs(config))
        if _reads_files(config):
            _refuse_new_frames(Path(config.source.address), paths)


def inputs(config: Config) -> Iterator[tuple[str, Path]]:
    """What a run may read, by its name for a user; a folder stands for the files in it."""
    for path in config.output.settings_files:
        yield "the settings file", path
    if _reads_files(config):
        yield "the source", Path(config.source.address)
    yield "a file of the bundle", Path(config.bundle.path or REFERENCE)
    if config.detector.model:
        yield "detector.model", Path(config.detector.model)
    if config.engine.folder:
        yield "a file of engine.folder", Path(config.engine.folder)
    with suppress(EdgeError):  # no home folder
        yield "a file of the cache", cache_folder()
        yield "a file of the cache", cache_folder() / "engines"


def _reads_files(config: Config) -> bool:
    """Whether the source is a file or a folder; the demo reads no folder of that name."""
    return find(config.source.address).name in ("file", "folder")


def _refuse_new_frames(source: Path, paths: Mapping[str, Path]) -> None:
    """Raise ConfigError if an output would be a picture of the source folder in the next run."""
    if not os.path.isdir(source):  # Path.is_dir raises for a name that is too long
        return
    from edge.capture.picture_headers import SUFFIXES

    for key, path in paths.items():
        if path.suffix.lower() in SUFFIXES and path.parent.is_dir() and source.samefile(path.parent):
            raise ConfigError(
                f"{key} is {path}, in the folder of pictures that is read; choose another folder"
            )

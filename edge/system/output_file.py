"""The rule for every path that a user names as an output.

A file is written if it is new, or bears our mark, or with force. It gets its name once it is whole. Pipes and
terminals are written into, never replaced. One run at a time writes an output.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from edge.errors import ConfigError
from edge.system.atomic_write import drop_part, new_part, put_in_place
from edge.system.closing import Closing
from edge.system.locks import LockBeside
from edge.system.marks import is_ours, kind_of
from edge.system.streams import is_stream, write_into

_KINDS = {
    ".png": "picture",
    ".mp4": "clip",
    ".gz": "report",
    ".tgz": "report",
}  # of outputs that have a suffix; the others are text


def check_writable(path: Path, suffixes: tuple[str, ...] = (), force: bool = False) -> None:
    """Raise ConfigError if ``path`` may not be written; nothing is touched. ``force``: foreign files, too."""
    if suffixes and path.suffix.lower() not in suffixes:
        suffix = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        raise ConfigError(f"output {path} has {suffix}, expected one of: {' '.join(suffixes)}")
    found = _status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"output {path} is a folder; give a file in it")
    if found is None and path.is_symlink():
        raise ConfigError(f"output {path} is a link to nothing; remove it, or choose another name")
    if not path.parent.is_dir():
        raise ConfigError(f"output folder {path.parent} does not exist; run: mkdir -p {path.parent}")
    if not os.access(path if found else path.parent, os.W_OK):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            raise ConfigError(f"output {path} lies on a read-only file system; choose another path")
        raise ConfigError(f"output {path} is not writable by this user; choose another path or use chmod")
    if found is None or is_stream(found):
        return
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"output {path} is neither a file nor a pipe; choose another name")
    kind, wanted = kind_of(path), _KINDS.get(path.suffix.lower() if suffixes else "", "text")
    if force or kind in ("empty", wanted):
        return
    if kind is None:
        raise ConfigError(
            f"output {path} exists and was not written by emotion-edge; choose another name, or pass --force"
        )
    raise ConfigError(f"output {path} is a {kind} of an earlier run; choose another name, or pass --force")


def _status(path: Path) -> os.stat_result | None:
    """What stands at ``path``, or None; ConfigError for a path that no file can have."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # a name too long, a loop of links, a forbidden folder, a NUL byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"output {path} cannot be used ({reason}); choose another path") from error


def refuse_inputs(outputs: Mapping[str, Path], inputs: Iterable[tuple[str, Path]]) -> None:
    """Raise ConfigError if an output is a file that is read, under any name; ``force`` does not help.

    A folder among the ``inputs`` stands for the files in it, but for outputs of earlier runs.
    """
    there = {key: found for key, path in outputs.items() if (found := _status(path))}
    for name, path in inputs if there else ():
        for key, found in there.items():
            if _is_one_of(found, path) and not (path.is_dir() and is_ours(outputs[key])):
                raise ConfigError(f"{key} is {outputs[key]}, which is also {name}; choose another file")


def _is_one_of(found: os.stat_result, path: Path) -> bool:
    """Whether it is the file ``path`` or one in that folder."""
    with suppress(OSError, ValueError):  # no file, such as rtsp://camera
        if os.path.samestat(found, os.stat(path)):
            return True
        for name in os.listdir(path) if path.is_dir() else ():
            with suppress(OSError):
                if os.path.samestat(found, os.stat(path / name)):
                    return True
    return False


class OutputFile(Closing):
    """An output that appears under its name when it is whole, in a ``with`` block.

    A part that was not committed stays if it holds data, so that a broken run leaves something.
    """

    def __init__(
        self, path: Path, suffixes: tuple[str, ...] = (), force: bool = False, small: bool = False
    ) -> None:
        """``small``: a document that a pipe or device takes, too. Raises ConfigError; creates nothing."""
        check_writable(path, suffixes, force)
        found = _status(path)
        self.path, self._suffixes, self._force = path, suffixes, force
        self._stream = found is not None and is_stream(found)
        self._target = path if self._stream else Path(os.path.realpath(path))  # a link stays one
        self._lock: LockBeside | None = None
        self._parts: list[BinaryIO] = []
        self._written: os.stat_result | None = None
        if self._stream and not small:
            raise ConfigError(f"output {path} is no regular file, which this output needs; give a file")
        if not self._stream and not os.access(self._target.parent, os.W_OK):
            raise ConfigError(f"output folder {self._target.parent} is not writable by this user; use chmod")

    def __enter__(self) -> OutputFile:
        if not self._stream:
            self._lock = LockBeside(self._target)
        return self

    def part(self) -> BinaryIO:
        """A new file to write and read, beside the output. A second one replaces the first at its commit."""
        if self._stream:
            return io.BytesIO()
        try:
            file = new_part(self._target)
            self._parts.append(file)
            with suppress(OSError):  # whom an earlier one was kept from, this one is, too
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(self._target).st_mode))
        except OSError as error:
            raise self._fault(error) from error
        return file

    def commit(self, file: BinaryIO, keep: bool = True) -> None:
        """Sync ``file`` and give it the output's name; ConfigError names the path and what is left.

        ``keep``: whether what was written stays where that fails.
        """
        try:
            if self._stream:
                write_into(self._target, file)
                return
            check_writable(self.path, self._suffixes, self._force)  # a run may take hours
            file.flush()
            written = os.fstat(file.fileno())
            put_in_place(file, self._target)
        except OSError as error:
            raise self._fault(error, file if keep else None) from error
        self._written = written
        self._parts.remove(file)
        while self._parts:
            drop_part(self._parts.pop())

    def write(self, content: bytes, keep: bool = True, mode: int | None = None) -> None:
        """Write a whole document. ``keep``: what was written of it stays where it fails."""
        file = self.part()
        try:
            if mode is not None and not self._stream:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            self.commit(file, keep)
        except OSError as error:
            raise self._fault(error, file if keep else None) from error
        finally:
            if not keep and file in self._parts:
                self._parts.remove(file)
                drop_part(file)

    def remove(self) -> None:
        """Remove the output if it is the very file that was committed here."""
        with suppress(OSError):
            found, ours = os.lstat(self._target), self._written
            # A file that was made after ours was removed may have its number, but not its time.
            if ours and os.path.samestat(found, ours) and found.st_mtime_ns == ours.st_mtime_ns:
                self._target.unlink()

    def close(self) -> None:
        """Remove empty parts and the lock; a part that holds data stays."""
        while self._parts:
            file = self._parts.pop()
            with suppress(OSError):
                file.close()
            if not _holds_data(file):
                with suppress(OSError):
                    os.unlink(file.name)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _fault(self, error: OSError, file: BinaryIO | None = None) -> ConfigError:
        kept = file is not None and file in self._parts and _holds_data(file)
        left = f"; what was written is in {file.name}" if file is not None and kept else ""
        return ConfigError(
            f"output {self.path} cannot be written ({error.strerror or error}); "
            f"free space or choose another path{left}"
        )


def _holds_data(part: BinaryIO) -> bool:
    """Whether the part is on disk with anything in it; what a buffer holds may still fail to get there."""
    with suppress(OSError, ValueError):  # ValueError: it is closed already
        part.flush()
    try:
        return os.stat(part.name).st_size > 0
    except OSError:
        return False


def write_output(path: Path, content: bytes, force: bool = False) -> None:
    """Write a report or page that a user named; ConfigError as of ``OutputFile``."""
    with OutputFile(path, force=force, small=True) as output:
        output.write(content)

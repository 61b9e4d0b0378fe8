"""Only regular files are opened, at once, and faults of their storage are told."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import IO

import made_clips as clips
import pytest

from edge.capture.files import FileSource
from edge.capture.regular_file import WatchedFile, open_regular, shown
from edge.errors import SourceError


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("a")
    with WatchedFile(tmp_path / "link") as file:
        assert file.size == 10
        assert file.read(3) == b"012"
        assert file.read_at(8, 9) == b"89"
        assert file.tell() == 3
        assert file.seek(-1, 2) == 9
        assert file.read(3) == b"9"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.mp4"))
        kinds = {
            tmp_path / "pipe.mp4": "is a named pipe",
            tmp_path / "socket.mp4": "is a socket",
            Path("/dev/null"): "is a device",
            tmp_path: "is a folder",
            tmp_path / ("n" * 300): "cannot be opened",
            tmp_path / "loop": "cannot be opened",
            tmp_path / "pipe.mp4" / "a": "cannot be opened",
            tmp_path / "none": "does not exist",
        }
        (tmp_path / "loop").symlink_to("loop")
        for path, words in kinds.items():
            with pytest.raises(SourceError, match=words) as caught:
                open_regular(path)
            assert "; " in str(caught.value), "the message holds no fix"
    with pytest.raises(SourceError, match="cannot be opened"):
        open_regular("zero\0byte")


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    (tmp_path / "a.mp4").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    with pytest.raises(SourceError, match="is not readable by this user; run: chmod"):
        open_regular(tmp_path / "a.mp4")


def test_a_name_of_any_bytes_can_be_shown() -> None:
    assert shown("caf\udce9.mkv") == "caf\\xe9.mkv"
    assert shown(Path("café")) == "café"


class FailingFile:
    """A file on a disk that fails from some byte on."""

    def __init__(self, file: IO[bytes], good: int) -> None:
        self._file, self._good = file, good

    def read(self, size: int) -> bytes:
        if self._file.tell() + size > self._good:
            raise OSError(errno.EIO, "Input/output error")
        return self._file.read(size)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("good", [0, 200_000])
def test_a_failing_disk_is_one_line(tmp_path: Path, good: int) -> None:
    path = clips.write(tmp_path / "a.mkv", 20, codec="ffv1", size=(1280, 720))
    file = WatchedFile(path)
    file._file = FailingFile(file._file, good)  # type: ignore[assignment]
    fault = r"cannot be read .*\(Input/output error\); check the disk"
    with pytest.raises(SourceError, match=fault), FileSource(path, file=file) as source:
        list(source.frames())

"""Files that are read whole: regular ones of a bounded size."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.system.checked_file import FileRefused, hash_checked, read_checked
from edge.system.hashing import sha256


def test_a_regular_file_is_read_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(3_000_000))
    assert read_checked(path, 3_000_000) == path.read_bytes()
    assert hash_checked(path, 3_000_000) == sha256(path)


@pytest.mark.parametrize("read", [read_checked, hash_checked])
def test_anything_else_is_refused_at_once(tmp_path: Path, read: Callable[..., object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "good").write_bytes(b"1")
    (tmp_path / "link").symlink_to("good")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, reason in (
            ("pipe", "is a named pipe, expected a regular file"), ("folder", "is a folder"),
            ("zero", "is a link"), ("loop", "is a link"), ("link", "is a link"), ("socket", "is a socket"),
            ("absent", "cannot be read (No such file or directory)"),
        ):  # fmt: skip
            with pytest.raises(FileRefused) as caught:
                read(tmp_path / name, 100)
            assert str(caught.value).startswith(reason)
    with pytest.raises(FileRefused, match="is a device"):
        read("/dev/zero", 100, follow=True)
    assert read(tmp_path / "link", 100, follow=True) == read(tmp_path / "good", 100)


@pytest.mark.parametrize("read", [read_checked, hash_checked])
def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path, read: Callable[..., object]) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(FileRefused, match=r"has 1,099,511,627,776 bytes, at most 67,108,864 are read"):
        read(path, 64 << 20)


def test_a_file_that_grows_while_it_is_read_is_refused() -> None:
    with pytest.raises(FileRefused, match="grows beyond 3 bytes"):
        read_checked("/proc/self/status", 3)  # its size is 0 until it is read

"""The reader of strace's lines, and that a program which reaches out or leaves a file is caught."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import traced

LINES = """\
10 connect(8<UDP:[1]>, {sa_family=AF_INET, sin_port=htons(53)}, 16 <unfinished ...>
11 openat(AT_FDCWD</home/a>, "b.txt", O_WRONLY|O_CREAT|O_CLOEXEC, 0666 <unfinished ...>
10 <... connect resumed>)             = 0
11 <... openat resumed>)              = 3</home/a/b.txt>
12 connect(3<socket:[2]>, {sa_family=AF_UNIX, sun_path="/run/nscd/socket"}, 110) = -1 ENOENT (No such file)
12 openat(AT_FDCWD</home/a>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>
12 openat(AT_FDCWD</home/a>, "/dev/null", O_RDWR) = 3</dev/null<char 1:3>>
12 mkdir("made", 0777) = 0
12 mkdir("/not/made", 0777) = -1 ENOENT (No such file or directory)
12 rename("/x/old", "/x/new") = 0
12 unlinkat(6</tmp/y>, "gone", 0) = 0
12 sendto(8, "\\1\\2", 2, 0, {sa_family=AF_INET6, sin6_port=htons(9)}, 28) = -1 ENETUNREACH (unreachable)
13 sendmsg(4, {msg_name={sa_family=AF_INET, sin_port=htons(1)}, msg_namelen=16 <unfinished ...>
"""


def test_calls_in_two_parts_and_calls_that_never_return_are_read() -> None:
    assert [call.split("(")[0] for call in traced.network(LINES)] == ["connect", "sendto", "sendmsg"]


def test_what_failed_or_was_only_read_is_no_change() -> None:
    found = traced.changed(LINES, Path("/data"))
    assert found == {"/home/a/b.txt", "/data/made", "/x/old", "/x/new", "/tmp/y/gone"}


def test_a_folder_on_the_way_to_a_permitted_one_is_permitted() -> None:
    paths = {"/home/u/.cache", "/home/u/.cache/ours/file", "/home/u/.cache/theirs"}
    assert traced.outside(paths, [Path("/home/u/.cache/ours")]) == ["/home/u/.cache/theirs"]


REACHES_OUT = """
import socket, pathlib
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
    port.connect(("127.0.0.1", 9))
pathlib.Path("kept").mkdir()
pathlib.Path("kept/left").write_text("x")
pathlib.Path("other").write_text("x")
pathlib.Path("other").unlink()
"""


def test_a_program_that_reaches_out_and_leaves_a_file_is_caught(tmp_path: Path) -> None:
    if not traced.strace():
        pytest.skip("strace is missing, or the kernel does not permit it")
    run = traced.start(
        [sys.executable, "-B", "-c", REACHES_OUT], tmp_path / "trace", dict(os.environ), tmp_path
    )
    told, _ = run.communicate(timeout=60)
    assert run.returncode == 0, told
    seen = (tmp_path / "trace").read_text()
    assert len(traced.network(seen)) == 1
    found = traced.outside(traced.changed(seen, tmp_path), [tmp_path / "kept"])
    assert found == [str(tmp_path / "other")]

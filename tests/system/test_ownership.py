"""Only what this user alone can have written is read back: no links, nothing of others, nothing large."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EdgeError
from edge.system.checked_file import FileRefused
from edge.system.ownership import own_folder, read_own, refuse_strangers_above, write_own

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
OTHER = 12345


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "record.json"
    write_own(path, b"ours")
    return path


def exchange(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


def _linked(path: Path) -> None:
    good = path.with_name("good.json")
    write_own(good, b"ours")
    path.symlink_to(good)


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a named pipe"),
    "folder": (os.mkdir, "is a folder"),
    "link to a good one": (_linked, "is a link"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "is a link"),
    "10 GB": (_sparse, "at most 65,536 are read"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_no_small_file_is_refused_and_replaced_but_a_folder(record: Path, what: str) -> None:
    make, said = PLANTED[what]
    exchange(record, make)
    with pytest.raises(FileRefused, match=said):
        read_own(record)
    if what == "folder":
        with pytest.raises(EdgeError, match=r"record\.json \(Is a directory\)"):
            write_own(record, b"again")
    else:
        write_own(record, b"again")
        assert read_own(record) == b"again"
    assert not list(record.parent.glob(".*")), "a part was left"


@given(mode=st.integers(0, 0o777))
def test_only_the_bits_of_group_and_others_count(tmp_path_factory, mode: int) -> None:
    path = tmp_path_factory.mktemp("own") / "record.json"
    write_own(path, b"ours")
    for judged in (path, path.parent):
        judged.chmod(mode | 0o700)
        if mode & 0o022:
            with pytest.raises(FileRefused, match="is writable by other users"):
                read_own(path)
        else:
            assert read_own(path) == b"ours"
        judged.chmod(0o700)


@needs_root
def test_another_owner_of_file_or_folder_is_refused(record: Path) -> None:
    for judged in (record, record.parent):
        os.chown(judged, OTHER, -1)
        with pytest.raises(FileRefused, match=f"belongs to user {OTHER}"):
            read_own(record)
        if judged is record.parent:
            with pytest.raises(EdgeError, match=f"belongs to user {OTHER}; choose a folder of your own"):
                write_own(record, b"not there")
        os.chown(judged, 0, -1)
    assert read_own(record) == b"ours"


@needs_root
def test_a_hard_link_to_another_users_file_is_refused(record: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"theirs")
    os.chown(foreign, OTHER, -1)
    exchange(record, lambda path: os.link(foreign, path))
    with pytest.raises(FileRefused, match="belongs to"):
        read_own(record)
    write_own(record, b"again")
    assert foreign.read_bytes() == b"theirs"


@needs_root
def test_a_link_to_the_folder_counts_if_this_user_or_root_made_it(record: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(record.parent)
    assert read_own(link / record.name) == b"ours", "as systemd makes it for a state folder"
    os.lchown(link, OTHER, -1)
    with pytest.raises(FileRefused, match=f"is a link that user {OTHER} made"):
        read_own(link / record.name)
    with pytest.raises(EdgeError, match=f"is a link that user {OTHER} made"):
        write_own(link / "new" / "record.json", b"elsewhere")
    assert not (record.parent / "new").exists()
    with pytest.raises(EdgeError, match="choose a folder of your own"):  # no chmod would help
        write_own(link / record.name, b"elsewhere")


def test_the_folder_that_was_judged_is_the_one_that_is_used(record: Path, tmp_path: Path) -> None:
    with own_folder(record.parent) as held:
        record.parent.rename(tmp_path / "away")
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / record.name).write_bytes(b"theirs")
        assert (held / record.name).read_bytes() == b"ours"


def test_nothing_is_readable_by_others_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        write_own(tmp_path / "a" / "b" / "record.json", b"ours")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o7777 for name in ("a", "a/b", "a/b/record.json")]
    assert modes == [0o700, 0o700, 0o600]
    assert read_own(tmp_path / "a" / "b" / "record.json") == b"ours"


def test_a_name_that_cannot_be_is_a_fault_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "a\0b" / "c", tmp_path / "a\0b", tmp_path / ("x" * 300) / "c"):
        with pytest.raises(FileRefused, match="cannot be read"):
            read_own(path)
        with pytest.raises(EdgeError, match="choose another folder"):
            write_own(path, b"")


def test_a_folder_that_others_can_exchange_is_found(record: Path, tmp_path: Path) -> None:
    refuse_strangers_above(record.parent)
    tmp_path.chmod(0o777)
    with pytest.raises(FileRefused, match=f"is in {tmp_path}, where other users may write"):
        refuse_strangers_above(record.parent)
    tmp_path.chmod(0o1777)
    refuse_strangers_above(record.parent)

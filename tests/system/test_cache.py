"""Where the cache lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.errors import EdgeError
from edge.system.cache import cache_folder, is_ours, keep_in_cache, library_cache, writable_cache

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def test_the_users_choice_counts_if_it_is_absolute(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "emotion-edge"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "emotion-edge"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    with pytest.raises(EdgeError, match="set XDG_CACHE_HOME to an absolute path"):
        cache_folder()


def test_a_folder_in_the_cache_is_made_or_none_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert writable_cache("tmp") == tmp_path / "emotion-edge" / "tmp"
    assert (tmp_path / "emotion-edge" / "tmp").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert writable_cache("tmp") is None


def test_a_library_keeps_its_cache_in_ours_unless_the_user_said_where(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("OF_THE_USER", "/elsewhere")
    monkeypatch.setenv("OF_NOBODY", "")
    monkeypatch.delenv("OF_NOBODY")
    for variable in ("OF_THE_USER", "OF_NOBODY"):
        keep_in_cache(variable, "name", "file")
    assert os.environ["OF_THE_USER"] == "/elsewhere"
    assert os.environ["OF_NOBODY"] == str(tmp_path / "emotion-edge" / "name" / "file")


@pytest.fixture
def cache(monkeypatch, tmp_path: Path) -> Path:
    """The cache folder of this test, which exists."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "emotion-edge").mkdir(mode=0o700)
    return tmp_path / "emotion-edge"


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o703])
def test_a_cache_where_others_write_is_not_used_and_the_fix_is_told_once(
    cache: Path, caplog, mode: int
) -> None:
    cache.chmod(mode)
    for _ in range(3):
        assert not is_ours(cache)
        assert writable_cache("tmp") is library_cache("matplotlib") is None
    (told,) = [record.message for record in caplog.records]
    assert told.endswith(f"is not used as a cache: it is writable by other users; run: chmod 700 {cache}")
    assert cache.stat().st_mode & 0o7777 == mode, "it is the user's folder"
    cache.chmod(0o700)
    assert writable_cache("tmp") == cache / "tmp"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_subfolder_that_can_be_written_or_exchanged_by_others_is_not_used(cache: Path, mode: int) -> None:
    for folder in (cache / "tmp", cache.parent):
        (cache / "tmp").mkdir(exist_ok=True)
        folder.chmod(mode)
        assert writable_cache("tmp") is None
        folder.chmod(0o700)
    cache.parent.chmod(0o1777)
    assert writable_cache("tmp") == cache / "tmp", "with the sticky bit, as /tmp, nobody exchanges it"


@needs_root
def test_what_belongs_to_another_user_is_not_used(cache: Path, caplog) -> None:
    os.chown(cache, 12345, -1)
    assert writable_cache("tmp") is None
    assert "it belongs to user 12345; set XDG_CACHE_HOME to a folder of your own" in caplog.text
    os.chown(cache, 0, -1)
    planted = cache / "matplotlib" / "fonts" / "fontlist-v390.json"
    assert library_cache("matplotlib")
    planted.parent.mkdir()
    planted.write_text("{}")
    os.chown(planted, 12345, -1)
    assert library_cache("matplotlib") is None
    assert writable_cache("matplotlib"), "no harm for files that are never read back"


def test_a_library_gets_no_folder_with_links_and_its_own_modes_do_not_count(cache: Path) -> None:
    folder = library_cache("matplotlib")
    assert folder
    (folder / "by a umask of 002").touch()
    (folder / "by a umask of 002").chmod(0o664)
    assert library_cache("matplotlib"), "nobody gets there"
    (folder / "link").symlink_to("/etc/passwd")
    assert library_cache("matplotlib") is None


def test_new_folders_are_the_users_alone_whatever_the_umask_is(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    before = os.umask(0o002)
    try:
        assert writable_cache("tmp")
    finally:
        os.umask(before)
    for folder in (tmp_path / "new", cache_folder(), cache_folder() / "tmp"):
        assert folder.stat().st_mode & 0o7777 == 0o700

"""Where the cache lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.errors import EdgeError
from edge.system.cache import cache_folder, keep_in_cache, writable_cache


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
        keep_in_cache(variable, "name")
    assert os.environ["OF_THE_USER"] == "/elsewhere"
    assert os.environ["OF_NOBODY"] == str(tmp_path / "emotion-edge" / "name")

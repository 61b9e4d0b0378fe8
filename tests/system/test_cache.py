"""Where the cache lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import EdgeError
from edge.system.cache import cache_folder


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

"""Files that the service cannot read are named before it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import Config
from edge.config_file import load
from edge.deploy import permissions
from edge.errors import ConfigError


def test_what_the_service_cannot_read_is_named(tmp_path: Path) -> None:
    hidden = ("/home",)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 1:
            folder.chmod(0o755)
    file = tmp_path / "config.toml"
    file.touch(0o644)
    permissions.check(Config(), file, hidden=hidden)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"config.toml has mode 600\); move it"):
        permissions.check(Config(), file, hidden=hidden)
    bundle = load(None, [f"bundle.path={tmp_path}"])
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="has mode 700"):
        permissions.check(bundle, None, hidden=hidden)
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="is hidden from services"):
        permissions.check(bundle, None, hidden=[str(tmp_path)])

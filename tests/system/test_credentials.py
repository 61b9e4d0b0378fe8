"""A secret of the service manager is read once, as text, and told to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.system.credentials import credential


def test_a_secret_comes_from_the_folder_of_the_service_manager(tmp_path: Path) -> None:
    (tmp_path / "camera").write_text("s3cret pass\n")
    assert credential("camera", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "s3cret pass"
    assert credential("mqtt", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == ""
    assert credential("camera", {}) == ""


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 5000])
def test_what_is_no_secret_is_refused_unseen(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "camera").write_bytes(content)
    with pytest.raises(ConfigError, match="the credential camera") as refused:
        credential("camera", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "xxxx" not in str(refused.value)

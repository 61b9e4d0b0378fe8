"""The record of restarts decides about a reboot: what others can write, or does not fit, does not count."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.health.restart import note_restart, restarts

WRONG: dict[str, list[Any]] = {
    "boot_id": [1, None, "x" * 65, "a\nb"],
    "at_s": ["1", True, None, -1, 1e300, []],
    "count": ["1", True, 0, -1, 1.0, 10**10, None],
    "reason": [1, None, "x" * 1001, "ok\n<3>forged", "\x1b[2J", "\u202e"],
    "more": [1],
}


@pytest.mark.parametrize(("field", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_record_that_does_not_fit_is_as_if_not_there(tmp_path: Path, field: str, value: Any) -> None:
    note_restart(tmp_path, 100.0, "boot-a", "the camera hangs")
    path = tmp_path / "restart.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    assert restarts(tmp_path, 101.0, "boot-a") == {"count": 0}
    assert not note_restart(tmp_path, 102.0, "boot-a", "again"), "nothing planted lets it reboot"
    assert restarts(tmp_path, 102.0, "boot-a")["count"] == 1


@pytest.mark.parametrize("what", ["open file", "open folder", "pipe", "link", "folder", "nested", "NaN"])
def test_a_record_that_others_can_write_is_as_if_not_there(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "state"
    note_restart(folder, 100.0, "boot-a", "the camera hangs")
    path = folder / "restart.json"
    if what.startswith("open"):
        (path if what == "open file" else folder).chmod(0o777)
    elif what in ("pipe", "folder"):
        path.unlink()
        (os.mkfifo if what == "pipe" else os.mkdir)(path)
    elif what == "link":
        path.symlink_to(path.rename(folder / "good"))
    else:
        path.write_text("[" * 30_000 if what == "nested" else path.read_text().replace("100.0", "NaN"))
    assert restarts(folder, 101.0, "boot-a") == {"count": 0}
    assert not note_restart(folder, 102.0, "boot-a")


def test_the_folder_of_a_service_is_a_link_that_root_made(tmp_path: Path) -> None:
    """systemd with DynamicUser=: /var/lib/emotion-edge -> private/emotion-edge."""
    (tmp_path / "private").mkdir()
    (tmp_path / "state").symlink_to("private")
    note_restart(tmp_path / "state", 100.0, "boot-a")
    assert note_restart(tmp_path / "state", 160.0, "boot-a")


@given(reason=st.text())
def test_any_reason_is_stored_as_a_printable_line(
    tmp_path_factory: pytest.TempPathFactory, reason: str
) -> None:
    folder = tmp_path_factory.mktemp("state")
    note_restart(folder, 100.0, "boot-a", reason + "\n" + "x" * 5000)
    told = restarts(folder, 101.0, "boot-a")
    assert told["count"] == 1
    assert told["reason"].isprintable()
    assert len(told["reason"]) == 1000

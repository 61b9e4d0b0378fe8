"""What an SSD tells of its wear, and a clock that is older than the program."""

from __future__ import annotations

import calendar
import ctypes
import struct
import time
from pathlib import Path

import pytest
from board_trees import PC, plant

from edge.doctor import clock, nvme
from edge.doctor.machine import Machine
from edge.version import RELEASED

_DRIVE = {"sys/class/nvme/nvme0/model": "a drive\n"}


class Live(Machine):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.live = True


def log(warning: int, used: int) -> bytes:
    return bytes([warning, 0, 0, 100, 10, used]) + bytes(506)


@pytest.mark.parametrize(
    ("warning", "used", "level", "words"),
    [
        (0, 3, "ok", "nvme0 has used 3 % of its life"),
        (0, 90, "warning", "90 %"),
        (0, 255, "warning", "255 %"),
        (1, 40, "warning", "few spare cells"),
        (4, 40, "fault", "not reliable"),
        (8, 40, "fault", "cannot be written"),
        (2, 40, "ok", "40 %"),  # too hot, which the temperatures tell
    ],
)
def test_the_log_of_a_drive_is_told(warning: int, used: int, level: str, words: str, tmp_path: Path) -> None:
    machine = Live(plant(tmp_path, PC, _DRIVE))
    (found,) = nvme.wear(machine, lambda node: log(warning, used) if str(node) == "/dev/nvme0" else b"")
    assert (found.level, words in found.text) == (level, True), found


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError("status 0x4002")])
def test_a_drive_that_tells_nothing_is_a_note(error: OSError, tmp_path: Path) -> None:
    def read(node: Path) -> bytes:
        raise error

    (found,) = nvme.wear(Live(plant(tmp_path, PC, _DRIVE)), read)
    assert found.level == "note"
    assert "root only" in found.text or "status 0x4002" in found.text


def test_a_tree_is_not_asked_and_a_machine_without_drives_has_no_finding(tmp_path: Path) -> None:
    def read(node: Path) -> bytes:
        raise AssertionError("asked")

    (found,) = nvme.wear(Machine(plant(tmp_path / "a", PC, _DRIVE)), read)
    assert found.text.startswith("not looked at: the wear of nvme0")
    assert not list(nvme.wear(Live(plant(tmp_path / "b", PC)), read))


def test_the_command_is_that_of_the_kernels_header() -> None:
    """linux/nvme_ioctl.h: 72 bytes; opcode at 0, nsid at 4, addr at 24, data_len at 36, cdw10 at 40."""

    def ask(descriptor: int, request: int, command: bytearray) -> int:
        assert request == 0xC0000000 | len(command) << 16 | ord("N") << 8 | 0x41
        assert len(command) == 72
        assert command[0] == 0x02
        assert struct.unpack_from("<I", command, 4) == (0xFFFFFFFF,)
        (address,) = struct.unpack_from("<Q", command, 24)
        (size,) = struct.unpack_from("<I", command, 36)
        assert struct.unpack_from("<I", command, 40) == ((size // 4 - 1) << 16 | 0x02,)
        ctypes.memmove(address, log(1, 77), size)
        return 0

    assert nvme.smart_log(Path("/dev/null"), ask) == log(1, 77)
    with pytest.raises(OSError, match="status 0x4002"):
        nvme.smart_log(Path("/dev/null"), lambda *_: 0x4002)
    with pytest.raises(OSError, match="ioctl"):
        nvme.smart_log(Path("/dev/null"))


@pytest.mark.parametrize(("days", "past"), [(-1, True), (0, False), (400, False)])
def test_a_clock_before_the_release_is_past(days: int, past: bool, tmp_path: Path) -> None:
    released_s = calendar.timegm(time.strptime(RELEASED, "%Y-%m-%d"))
    (found,) = clock.look(Live(plant(tmp_path, PC)), lambda: released_s + 86400.0 * days)
    assert (f"before this version was made on {RELEASED}" in found.text) is past
    assert found.level == "warning" or not past

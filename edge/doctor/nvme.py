"""The wear of an SSD on NVMe, as the drive itself tells it to root.

The kernel has no file for it. What `smartctl` and `nvme` do is one call of ioctl(2), "Get Log Page" of
"SMART / Health Information": NVM Express Base Specification; linux/nvme_ioctl.h. Not run on a real drive.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from edge.doctor.machine import Machine
from edge.errors import reason
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding, not_looked_at

_ADMIN_CMD = 0xC0484E41  # NVME_IOCTL_ADMIN_CMD: _IOWR('N', 0x41, struct nvme_admin_cmd)
# struct nvme_admin_cmd: opcode, flags, reserved; nsid, cdw2, cdw3; metadata, addr; metadata_len, data_len,
# cdw10 to cdw15, timeout_ms, result.
_COMMAND = struct.Struct("=BBHIIIQQII6III")
_GET_LOG_PAGE, _SMART, _EVERY_NAMESPACE, _BYTES = 0x02, 0x02, 0xFFFFFFFF, 512
_TIMEOUT_MS = 2000
_SPARE, _UNRELIABLE, _READ_ONLY = 0x01, 0x04, 0x08  # bits of the first byte, "Critical Warning"
_WORN = 90  # percent

Ask = Callable[[int, int, bytearray], int]  # as fcntl.ioctl
SmartLog = Callable[[Path], bytes]


def smart_log(node: Path, ask: Ask = fcntl.ioctl) -> bytes:
    """The health log (512 bytes) of the drive at ``node``, such as /dev/nvme0; OSError without permission."""
    log = ctypes.create_string_buffer(_BYTES)
    words = _SMART | (_BYTES // 4 - 1) << 16
    command = bytearray(
        _COMMAND.pack(
            *(_GET_LOG_PAGE, 0, 0, _EVERY_NAMESPACE, 0, 0, 0, ctypes.addressof(log), 0, _BYTES),
            *(words, 0, 0, 0, 0, 0, _TIMEOUT_MS, 0),
        )
    )
    descriptor = os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if status := ask(descriptor, _ADMIN_CMD, command):
            raise OSError(f"the drive answers with status {status:#x}")
    finally:
        os.close(descriptor)
    return log.raw


def wear(machine: Machine, read: SmartLog = smart_log) -> Iterator[Finding]:
    """How much of its life each drive has used."""
    for folder in machine.found("sys/class/nvme/nvme*"):
        if not machine.live:
            yield not_looked_at("ssd", f"the wear of {folder.name}")
            continue
        try:
            log = read(Path("/dev") / folder.name)
        except PermissionError:
            yield Finding(
                "ssd", NOTE, f"{folder.name} tells its wear to root only", "sudo emotion-edge doctor"
            )
        except OSError as error:
            yield Finding("ssd", NOTE, f"{folder.name} does not tell its wear ({reason(error)})")
        else:
            yield _told(folder.name, log[0], log[5])


def _told(name: str, warning: int, used: int) -> Finding:
    """``warning`` and ``used``, in percent of the life that its maker expects, as the log has them."""
    text = f"{name} has used {used} % of its life"
    if warning & (_READ_ONLY | _UNRELIABLE):
        how = (
            "cannot be written any more" if warning & _READ_ONLY else "says that it is not reliable any more"
        )
        return Finding("ssd", FAULT, f"{text} and {how}", "back up and replace it now")
    if warning & _SPARE or used >= _WORN:
        spare = " and has few spare cells left" if warning & _SPARE else ""
        return Finding("ssd", WARNING, f"{text}{spare}", "replace it soon")
    return Finding("ssd", OK, text)

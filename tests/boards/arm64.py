"""Debian for arm64, installed and configured: its programs run in QEMU's user mode, so times mean nothing.

The kernel starts them by binfmt_misc, with QEMU 10 from Debian 13. With 7.2, the one of Debian 12,
``import onnxruntime`` crashes where /sys is mounted.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rootfs

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
PACKAGES = (
    *("python3", "python3-numpy", "systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2"),
    *("openssh-client", "procps"),
)
_FORMATS = Path("/proc/sys/fs/binfmt_misc")
_NAME = "emotion-edge-aarch64"
_MAGIC = "7f454c460201010000000000000000000200b700"
_MASK = "ffffffffffffff00fffffffffffffffffeffffff"


def why_not() -> str | None:
    """What is missing here; None where nothing is."""
    if reason := rootfs.why_not():
        return reason
    return None if _FORMATS.is_dir() else "the kernel has no binfmt_misc"


def root(suite: str) -> Path:
    """Debian ``suite`` with PACKAGES, made in minutes and kept; to be left as it is, see ``copy_of``."""
    options = ["--arch=arm64", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite]

    def fill(folder: Path) -> None:
        with emulated():
            rootfs.checked(
                subprocess.run(
                    [*rootfs.UNSEEN, "debootstrap", *options, str(folder)], capture_output=True, text=True
                )
            )
        shutil.rmtree(folder / "var/cache/apt/archives")
        (folder / "var/cache/apt/archives/partial").mkdir(parents=True)

    return rootfs.kept(f"{suite}-arm64", fill, version=" ".join(options))


def copy_of(suite: str, folder: Path) -> Path:
    """A root of one's own, as ``folder``."""
    return rootfs.copy(root(suite), folder)


@contextmanager
def emulated() -> Iterator[None]:
    """While this lasts, programs for arm64 run on this machine."""
    _mount_formats()
    entry = _FORMATS / _NAME
    if entry.exists():
        entry.write_text("-1")  # left by a run that was killed
    # F: the kernel opens QEMU now, so it need not lie in the roots.
    rule = f":{_NAME}:M::{_hex(_MAGIC)}:{_hex(_MASK)}:{_emulator()}:F"
    (_FORMATS / "register").write_text(rule)
    try:
        yield
    finally:
        entry.write_text("-1")


def _mount_formats() -> None:
    if not (_FORMATS / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_FORMATS)], check=True)


def _hex(text: str) -> str:
    return re.sub("(..)", r"\\x\1", text)


def _emulator() -> Path:
    return rootfs.with_packages("qemu-user", ["qemu-user"]) / "usr/bin/qemu-aarch64"

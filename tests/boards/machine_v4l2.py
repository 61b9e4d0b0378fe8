"""A whole arm64 machine with a V4L2 camera: Debian's kernel with its ``vivid`` driver, emulated by QEMU.

The root file system is one cpio archive that the kernel unpacks into memory, so there is no disk and no
driver for one. A second archive with the files of one run is laid over it. ``/init`` starts udev and one
Python program; what that prints on standard output comes back through a console of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import rootfs

PACKAGES = ("linux-image-arm64", "kmod", "udev", "python3")
WHEELS = ("numpy", "opencv-python-headless>=4.8,<5")
TOOLS = {"qemu-system-aarch64": "qemu-system-arm", "cpio": "cpio", "depmod": "kmod", "dpkg-deb": "dpkg"}
MODULES = ("vivid",)  # what the machine needs besides is built into Debian's kernel
UNUSED = ("boot", "debootstrap", "usr/lib/linux-image-*", "usr/share/doc", "usr/share/locale", "var/lib/apt")
# vivid hangs on no bus that gives a serial number. With one, udev's own rules make the link as for USB.
RULE = 'SUBSYSTEM=="video4linux", ATTR{name}=="vivid-*", ENV{ID_BUS}="usb", ENV{ID_SERIAL}="vivid_1"\n'
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 PYTHONPATH=/opt/site:/opt
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
/usr/lib/systemd/systemd-udevd --daemon
python3 -B /opt/inside.py > /dev/hvc0
echo o > /proc/sysrq-trigger
sleep 60
"""
MACHINE = (
    *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a76", "-accel", "tcg,thread=multi"),
    *("-smp", "2", "-m", "1536", "-nic", "none", "-display", "none", "-monitor", "none"),
    *("-device", "virtio-serial-pci", "-device", "virtconsole,chardev=said"),
)


def why_not() -> str | None:
    """What is missing here to build and start the machine; None where nothing is."""
    missing = [f"{tool} (package {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    return rootfs.why_not() or (f"not installed: {', '.join(missing)}" if missing else None)


def run(folder: Path, files: Mapping[str, Path], timeout: float = 170) -> tuple[str, str]:
    """Boot the machine and run ``/opt/inside.py``: what it printed, and what the kernel's console says.

    ``files`` are files and folders of this machine by their places there. ``folder`` is for scratch files.
    Raises Offline where the machine must be built and the archives cannot be reached.
    """
    kernel_and_root = rootfs.kept("machine-arm64-v4l2", _build, version=Path(__file__).read_text())
    over, said, console = folder / "over", folder / "said", folder / "console"
    for place, source in files.items():
        there = over / place.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, there)
    shutil.copy(kernel_and_root / "root.cpio", folder / "all.cpio")
    with (folder / "all.cpio").open("ab") as archive:
        archive.write(rootfs.archived(over))
    command = [
        *MACHINE,
        *("-kernel", str(kernel_and_root / "vmlinuz"), "-initrd", str(folder / "all.cpio")),
        *("-append", "console=ttyAMA0 quiet panic=-1", "-no-reboot"),
        *("-chardev", f"file,id=said,path={said}", "-serial", f"file:{console}"),
    ]
    with suppress(subprocess.TimeoutExpired):  # what was said until then tells why
        subprocess.run(command, timeout=timeout, check=True, stdin=subprocess.DEVNULL)
    return said.read_text(errors="replace"), console.read_text(errors="replace")


def _build(folder: Path) -> None:
    root = folder / "root"
    rootfs.unpack_arm64(root, PACKAGES)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), folder / "vmlinuz")
    rootfs.keep_modules(root, MODULES)
    for wheel in _download(folder / "wheels"):
        zipfile.ZipFile(wheel).extractall(root / "opt/site")
    (root / "etc/udev/rules.d/59-serial.rules").write_text(RULE)
    # Users and groups that udev's rules name; the package would put them there when it is configured.
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / f"etc/{name}")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    for path in (path for pattern in UNUSED for path in root.glob(pattern)):
        shutil.rmtree(path)
    (folder / "root.cpio").write_bytes(rootfs.archived(root))
    for path in (root, folder / "wheels"):
        shutil.rmtree(path)


def _download(folder: Path) -> list[Path]:
    # By the pip of this environment, which knows how to reach an index from here; Debian 13 has Python 3.13.
    platforms = [f"--platform=manylinux{tag}_aarch64" for tag in ("_2_28", "_2_27", "2014")]
    target = ("--only-binary=:all:", "--python-version=3.13", *platforms)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        *target,
        f"--dest={folder}",
        *WHEELS,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise rootfs.Offline(done.stderr.strip().splitlines()[-1])
    return sorted(folder.glob("*.whl"))

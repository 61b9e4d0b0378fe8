"""A whole machine with a disk and systemd, arm64 or amd64, emulated by QEMU, whose power can be cut.

What its kernel had not yet written to the disk is lost with it, as on a board. There is no network card. A
root shell on a console of its own takes commands. Times are those of an emulator.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import arm64
import rootfs

TOOLS = {"mkfs.ext4": "e2fsprogs", "cpio": "cpio", "depmod": "kmod"}
MODULES = ("virtio_blk", "virtio_pci", "virtio_console", "ext4", "crc32c_generic", "vivid")
_DISK = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")  # needed before the root is there
_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t devtmpfs dev /dev
{load}
/bin/busybox mount -t proc proc /proc
mode=rw
/bin/busybox grep -qw ro /proc/cmdline && mode=ro
/bin/busybox umount /proc
until /bin/busybox mount -t ext4 -o $mode /dev/vda /root; do /bin/busybox sleep 0.1; done
exec /bin/busybox switch_root /root /usr/lib/systemd/systemd
"""
_FETCH = """apt-get -qq update && cd /root && apt-get -qq download busybox-static \
    $(apt-cache depends linux-image-{arch} | grep -o 'linux-image-[0-9].*')"""
SHELL = """[Unit]
DefaultDependencies=no
After=systemd-tmpfiles-setup-dev.service
[Service]
Type=simple
ExecStart=/bin/sh -c 'exec < /dev/hvc0 > /dev/hvc0 2>&1; stty raw -echo; PS1= PS2= exec /bin/sh'
Restart=always
[Install]
WantedBy=sysinit.target
"""
# vivid hangs on no bus that gives a serial number; one camera is enough.
_CAMERA = "options vivid n_devs=1 node_types=0x1\n"
MACHINE = (
    *("-accel", "tcg,thread=multi", "-smp", "2", "-m", "1536", "-nic", "none", "-display", "none"),
    *("-no-reboot", "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=shell"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of machine, of which Debian's kernel and QEMU's program are made known here."""

    arch: str
    target: str  # of the kit that runs on it
    program: str
    package: str
    options: tuple[str, ...]
    console: str

    def why_not(self) -> str | None:
        """What is missing here to build and start the machine; None where nothing is."""
        tools = {**TOOLS, self.program: self.package}
        missing = [f"{tool} (package {package})" for tool, package in tools.items() if not shutil.which(tool)]
        reason = arm64.why_not() if self is ARM64 else rootfs.why_not()
        return reason or (f"not installed: {', '.join(missing)}" if missing else None)

    def base(self) -> Path:
        """A folder with ``vmlinuz``, ``initrd`` and ``root``: Debian 13, a kernel's modules and a shell."""
        return rootfs.kept(f"machine-{self.arch}-disk", self._build, version=Path(__file__).read_text())

    def copy_of_root(self, folder: Path) -> Path:
        """A root of one's own, as ``folder``."""
        return rootfs.copy(self.base() / "root", folder)

    def _build(self, folder: Path) -> None:
        if self is ARM64:
            root, runs = arm64.copy_of("trixie", folder / "root"), arm64.emulated()
        else:
            same = rootfs.with_packages("machine", arm64.PACKAGES)
            root, runs = rootfs.copy(same, folder / "root"), nullcontext()
        with runs:
            rootfs.checked(rootfs.run(root, ["sh", "-ec", _FETCH.format(arch=self.arch)]))
        _finish(root, folder, self.console)


ARM64 = Kind(
    "arm64", "pi-trixie", "qemu-system-aarch64", "qemu-system-arm", ("-M", "virt", "-cpu", "cortex-a76"),
    "ttyAMA0",
)  # fmt: skip
AMD64 = Kind(
    "amd64", "debian-amd64", "qemu-system-x86_64", "qemu-system-x86", ("-M", "q35", "-cpu", "max"), "ttyS0"
)


def disk(root: Path, image: Path, size: str = "2G") -> Path:
    """``root`` as a file system in the file ``image``."""
    subprocess.run(["mkfs.ext4", "-q", "-d", str(root), str(image), size], check=True)
    return image


def unpack(root: Path, deb: Path) -> None:
    """Unpack a package into ``root`` with this machine's dpkg; nothing of it runs."""
    words = ["dpkg", "--root", str(root), "--force-architecture", "--unpack", str(deb)]
    subprocess.run(words, check=True, capture_output=True)


class Machine:
    """A running machine; see ``started``."""

    def __init__(self, image: Path, folder: Path, options: str = "", kind: Kind = ARM64) -> None:
        self.console = folder / "console"
        address, monitor = folder / "shell", folder / "monitor"
        for path in (address, monitor):
            path.unlink(missing_ok=True)
        kernel = kind.base()
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [
                kind.program,
                *kind.options,
                *MACHINE,
                *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / "initrd")),
                *("-append", f"console={kind.console} quiet panic=-1 {options}"),
                *("-drive", f"file={image},format=raw,if=virtio,cache=writeback"),
                *("-chardev", f"socket,id=shell,path={address},server=on,wait=off"),
                *("-serial", f"file:{self.console}"),
                *("-monitor", f"unix:{monitor},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
        )
        self._shell, self._monitor = self._connect(address), self._connect(monitor)

    def answers(self, timeout: float = 240) -> None:
        """Wait for the shell: what is sent before it is there gets lost."""
        end = time.monotonic() + timeout
        while True:
            with suppress(AssertionError):
                self.run("true", timeout=3)
                return
            assert time.monotonic() < end, f"no shell\n{self.said()[-1500:]}"

    def run(self, command: str, timeout: float = 120) -> str:
        """What ``command`` prints in a root shell, with its exit code as the last word."""
        mark = f"=={time.monotonic_ns()}=="
        # The mark is sent in two parts, so that it is found in the answer only.
        line = f"{{ {command}\n}} 2>&1 </dev/null; echo $? {mark[:4]}''{mark[4:]}\n"
        self._shell.sendall(line.encode())
        said, end = b"", time.monotonic() + timeout
        while mark.encode() not in said:
            if time.monotonic() > end:
                raise AssertionError(f"no answer to {command!r}: {said[-800:]!r}\n{self.said()[-1500:]}")
            with suppress(TimeoutError):
                said += self._shell.recv(65536)
        return said.decode(errors="replace").split(mark)[0].replace("\r", "").rstrip()

    def wait(self, command: str, timeout: float = 240) -> float:
        """Seconds since the power came on, once ``command`` ends well."""
        end = time.monotonic() + timeout
        while (said := self.run(command)).split()[-1] != "0":
            assert time.monotonic() < end, f"{command}: {said[-800:]}\n{self.said()[-1500:]}"
            time.sleep(0.3)
        return time.monotonic() - self.began

    def said_by(self, command: str) -> str:
        """What ``command`` prints; it must end well."""
        said, _, code = self.run(command).rpartition("\n")
        if not code.isdigit():
            said, code = "", said or code
        assert code == "0", f"{command}: {said} {code}"
        return said.strip("\n")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its processors and its clock stand still: the disk is then as a cut of the power would leave it."""
        self._monitor.sendall(b"stop\n")
        self._until("paused")
        try:
            yield
        finally:
            self._monitor.sendall(b"cont\n")
            self._until("running")

    def since(self) -> float:
        """Seconds since the power came on."""
        return time.monotonic() - self.began

    def send(self, command: str) -> None:
        """Begin a command whose end nobody waits for."""
        self._shell.sendall(f"{{ {command}\n}} >/dev/null 2>&1 </dev/null\n".encode())

    def said(self) -> str:
        """What stood on the console."""
        return self.console.read_text(errors="replace")

    def off(self) -> None:
        """Switch off in order."""
        with suppress(OSError):
            self.send("systemctl poweroff")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self.cut()

    def cut(self) -> None:
        """Cut the power, now."""
        self._process.kill()
        self._process.wait()
        self._shell.close()
        self._monitor.close()

    def _until(self, state: str) -> None:
        said = b""
        while f"VM status: {state}".encode() not in said:
            self._monitor.sendall(b"info status\n")
            with suppress(TimeoutError):
                said += self._monitor.recv(65536)

    def _connect(self, address: Path) -> socket.socket:
        shell = socket.socket(socket.AF_UNIX)
        shell.settimeout(1)
        while True:
            with suppress(OSError):
                shell.connect(str(address))
                return shell
            assert self._process.poll() is None, "QEMU ended at once"
            time.sleep(0.05)


@contextmanager
def started(image: Path, folder: Path, options: str = "", kind: Kind = ARM64) -> Iterator[Machine]:
    """The machine with the disk ``image``, whose shell answers; its power is cut at the end."""
    machine = Machine(image, folder, options, kind)
    try:
        machine.answers()
        yield machine
    finally:
        machine.cut()


def _finish(root: Path, folder: Path, console: str) -> None:
    extra = folder / "extra"
    for package in (root / "root").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(extra)], check=True)
        package.unlink()
    shutil.copy(next(extra.glob("boot/vmlinuz-*")), folder / "vmlinuz")
    (extra / "lib").symlink_to("usr/lib")  # where depmod looks
    rootfs.keep_modules(extra, MODULES)
    shutil.copytree(extra / "usr/lib/modules", root / "usr/lib/modules")
    (folder / "initrd").write_bytes(_initrd(extra, folder / "first"))
    shutil.rmtree(extra)
    shutil.rmtree(root / "var/lib/apt/lists")
    _write(root / "etc/modules-load.d/camera.conf", "vivid\n")
    _write(root / "etc/modprobe.d/camera.conf", _CAMERA)
    _write(root / "etc/systemd/system/test-shell.service", SHELL)
    _write(root / "etc/machine-id", "uninitialized\n")
    for name in ("hvc0", console):
        (root / f"etc/systemd/system/serial-getty@{name}.service").symlink_to("/dev/null")
    link = root / "etc/systemd/system/sysinit.target.wants/test-shell.service"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("../test-shell.service")


def _initrd(extra: Path, first: Path) -> bytes:
    """What mounts the disk: busybox and the modules for it, in the order in which they need each other."""
    (modules,) = extra.glob("usr/lib/modules/*")
    show = ["modprobe", "--dirname", str(extra), "--set-version", modules.name, "--show-depends", "--all"]
    lines = subprocess.run([*show, *_DISK], check=True, capture_output=True, text=True).stdout.splitlines()
    paths = dict.fromkeys(line.split()[1] for line in lines if line.startswith("insmod "))
    (first / "bin").mkdir(parents=True)
    shutil.copy(extra / "usr/bin/busybox", first / "bin")
    load = []
    for path in paths:
        name = Path(path).name.removesuffix(".xz")
        data = (
            subprocess.run(["xz", "-dc", path], check=True, capture_output=True).stdout
            if path.endswith(".xz")
            else Path(path).read_bytes()
        )
        (first / name).write_bytes(data)
        load.append(f"/bin/busybox insmod /{name}")
    (first / "init").write_text(_INIT.format(load="\n".join(load)))
    (first / "init").chmod(0o755)
    archive = rootfs.archived(first)
    shutil.rmtree(first)
    return archive


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

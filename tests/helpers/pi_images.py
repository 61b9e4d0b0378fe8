"""Images in the shape of Raspberry Pi OS, of a few megabytes, and kits for them; no loop device, no root.

What the boot partition and issue.txt hold follows pi-gen's stages and raspberrypi/rpi-imager's documents.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = ("sfdisk", "mkfs.vfat", "mkfs.ext4", "mcopy", "mtype", "debugfs", "dpkg-deb")
START, BOOT_SECTORS, ROOT_SECTORS = 2048, 6144, 8192
CMDLINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=1-02 rootfstype=ext4 fsck.repair=yes rootwait resize\n"
)
QUIET = {**os.environ, "MTOOLSRC": "/dev/null", "MTOOLS_SKIP_CHECK": "1"}
DEPENDS = "python3 (>= 3.13~), python3 (<< 3.14~), libc6 (>= 2.41), python3-numpy, libgcc-s1"
PACKAGES = {
    "dpkg": "1.22", "python3": "3.13.5-1", "libc6": "2.41-12", "python3-numpy": "1:2.2.4", "libgcc-s1": "14",
}  # fmt: skip


def missing() -> str:
    return ", ".join(tool for tool in TOOLS if not shutil.which(tool))


@dataclass
class Image:
    """What one is made of; a test changes a part of it."""

    codename: str = "trixie"
    arch: str = "arm64"
    stage: str = "stage2"
    machine_id: str = "uninitialized"
    label: str = "dos"
    boot_sectors: int = BOOT_SECTORS
    packages: dict[str, str] = field(default_factory=lambda: dict(PACKAGES))
    boot: dict[str, str] = field(
        default_factory=lambda: {
            "cmdline.txt": CMDLINE,
            "config.txt": "# For more options see\n",
            "user-data": "#cloud-config\n# hostname: raspberrypi\n",
            "network-config": "# commented out\n",
            "meta-data": "dsmode: local\ninstance_id: rpios-image\n",
        }
    )

    def write(self, path: Path) -> Path:
        scratch = path.with_name(f"{path.name}.scratch")
        texts = {
            "boot": {
                **self.boot,
                "issue.txt": f"Raspberry Pi reference\nGenerated using pi-gen, {self.stage}\n",
            },
            "root": {
                "usr/lib/os-release": f'PRETTY_NAME="Debian"\nVERSION_CODENAME={self.codename}\n',
                "etc/machine-id": f"{self.machine_id}\n",
                "var/lib/dpkg/status": self._status(),
            },
        }
        for part, files in texts.items():
            for name, text in files.items():
                (scratch / part / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / part / name).write_text(text)
        root = START + self.boot_sectors
        with path.open("wb") as file:
            file.truncate((root + ROOT_SECTORS + 2048) * 512)
        kinds = ("c", "83") if self.label == "dos" else ("uefi", "linux")
        table = (
            f"label: {self.label}\nstart={START},size={self.boot_sectors},type={kinds[0]}\n"
            f"start={root},size={ROOT_SECTORS},type={kinds[1]}\n"
        )
        _run("sfdisk", "-q", path, input=table.encode())
        _run("mkfs.vfat", "-n", "BOOTFS", "--offset", START, path, self.boot_sectors // 2)
        ext4 = ("-q", "-O", "^has_journal", "-d", scratch / "root", "-E", f"offset={root * 512}")
        _run("mkfs.ext4", *ext4, path, f"{ROOT_SECTORS // 2}k")
        names = sorted((scratch / "boot").iterdir())
        _run("mcopy", "-s", "-i", f"{path}@@{START * 512}", *names, "::/", env=QUIET)
        shutil.rmtree(scratch)
        return path

    def _status(self) -> str:
        row = "Package: {0}\nStatus: install ok installed\nArchitecture: {2}\nVersion: {1}\n"
        return "\n".join(row.format(name, version, self.arch) for name, version in self.packages.items())


def kit(
    folder: Path, target: str = "pi-trixie", arch: str = "arm64", depends: str = DEPENDS, size: int = 9000
) -> Path:
    """A kit as far as flashing looks into one; its package has ``size`` bytes that do not compress."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "blob").write_bytes(os.urandom(size))
    (tree / "DEBIAN" / "control").write_text(
        f"Package: emotion-edge\nVersion: 1.0\nArchitecture: {arch}\nMaintainer: Nobody <n@example.org>\n"
        f"Depends: {depends}\nEmotion-Edge-Target: {target}\nDescription: plays the service\n"
    )
    made = folder / "KIT"
    made.mkdir()
    deb = made / f"emotion-edge_1.0_{arch}.deb"
    _run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb)
    shutil.rmtree(tree)
    (made / "SHA256SUMS").write_text(f"{hashlib.sha256(deb.read_bytes()).hexdigest()}  {deb.name}\n")
    return made


def names(image: Path) -> list[str]:
    """Every file on the boot partition."""
    said = _run("mdir", "-b", "-/", "-i", f"{image}@@{START * 512}", "::/", env=QUIET)
    return sorted(line.removeprefix("::/") for line in said.decode().splitlines() if not line.endswith("/"))


def content(image: Path, name: str) -> bytes:
    return _run("mtype", "-i", f"{image}@@{START * 512}", f"::/{name}", env=QUIET)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*words: object, **how: object) -> bytes:
    done = subprocess.run([str(word) for word in words], capture_output=True, **how)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr.decode()
    return bytes(done.stdout)

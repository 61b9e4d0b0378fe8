"""Linux_for_Tegra trees with the names and links of each release, and texts of our own; no word is NVIDIA's.

R36.4's tree was at hand nowhere: R36.2's shape with 36.4's number is what we predict.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

R35, R36_2, R36, R38, R39 = "35.3.1", "36.2.0", "36.4.3", "38.4.0", "39.2.0"
PREDICTED = (R36,)
SERVED = (R36, R38, R39)  # those that kits are for
TARGETS = {R36: "jetson-jp6", R38: "jetson-jp7", R39: "jetson-jp7"}
KERNEL_FLASH = "tools/kernel_flash"
_NUMBERS = ("BRANCH", "MAJOR", "MINOR")
_T234 = "flash_l4t_t234_nvme.xml"
# As in NVIDIA's: what a caller's environment switches on is indented, and comes before or after the default.
_BUP = "update_emmc_cfg_for_bup()\n{\n\tEMMC_CFG=flash_t234_qspi.xml;\n}\n"
_TWO_ROOTS = 'if [[ "${{ROOTFS_AB}}" == 1 && "${{ROOTFS_ENC}}" == 1 ]]; then\n\t{}\nfi;\n'
# Debian's packages that the flasher of each release wants; see l4t_flash_prerequisites.sh.
HOST_PACKAGES = (
    "abootimg", "binfmt-support", "binutils", "cpio", "cpp", "device-tree-compiler", "dosfstools",
    "lbzip2", "libxml2-utils", "nfs-kernel-server", "openssl", "python3-yaml", "qemu-user-static",
    "sshpass", "udev", "uuid-runtime", "whois", "lz4", "e2fsprogs", "file", "gdisk", "iproute2",
    "iputils-ping", "netcat-openbsd", "parted", "rsync", "usbutils", "xmlstarlet", "xxd", "zstd",
    "zlib1g", "python3-usb", "python-is-python3",
)  # fmt: skip
# Does what NVIDIA's does to a root file system, without a chroot, and prints the password as that does.
_CREATE_USER = r"""#!/bin/sh
set -e
root=$(dirname "$0")/../rootfs
while [ $# -gt 0 ]; do
    case $1 in
        -u) user=$2; shift ;;
        -p) password=$2; shift ;;
        --accept-license) accepted=yes ;;
        *) exit 1 ;;
    esac
    shift
done
[ -n "$accepted" ]
echo "$user:x:1000:1000:,,,:/home/$user:/bin/bash" >>"$root/etc/passwd"
echo "$user:\$1\$salt\$of.$password:20000:0:99999:7:::" >>"$root/etc/shadow"
cp "$root/etc/shadow" "$root/etc/shadow-"
echo "$user:x:1000:" >>"$root/etc/group"
mkdir -p "$root/home/$user" "$root/etc/nv"
chown 1000:1000 "$root/home/$user"
echo 'alias ll=ls' >"$root/home/$user/.bashrc"
echo tegra-ubuntu >"$root/etc/hostname"
echo "127.0.1.1 tegra-ubuntu" >>"$root/etc/hosts"
rm -f "$root/etc/systemd/system/default.target"
: >"$root/etc/nv/nvautoconfig"
echo "user $user, password $password"
"""
LICENSE = "Tegra_Software_License_Agreement-Tegra-Linux.txt"


def make(tree: Path, release: str, prepared: bool = True) -> Path:
    """A tree of that release, with apply_binaries done if ``prepared``."""
    numbers = release.split(".")
    major = int(numbers[0])
    lines = [f"BSP_{name}={number}\n" for name, number in zip(_NUMBERS, numbers, strict=True)]
    _text(tree, "nv_tegra/bsp_version", "# of the tests\n" + "".join(lines))
    if major > 35:
        _text(tree, "nv_tegra/nv_tegra_release", _release(release))
    _text(tree, f"nv_tegra/l4t_deb_packages/nvidia-l4t-core_{release}-20250101000000_arm64.deb", "")
    _boards(tree, major)
    _layouts(tree, major)
    for name in ("l4t_initrd_flash.sh", "l4t_initrd_flash.func"):
        _text(tree, f"{KERNEL_FLASH}/{name}", "#!/bin/sh\necho never run >&2\nexit 99\n", 0o755)
    _text(tree, "tools/l4t_create_default_user.sh", _CREATE_USER, 0o755)
    _text(tree, "apply_binaries.sh", "#!/bin/sh\nexit 99\n", 0o755)
    if major >= 38:
        _text(tree, LICENSE, "of the tests\n")
    _text(tree, "rootfs/README.txt", "of the tests\n")
    if prepared:
        _rootfs(tree / "rootfs", release)
    return tree


def host(root: Path) -> Path:
    """A machine that flashes, with all that is asked of it."""
    _text(root, "etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n")
    rows = [f"Package: {name}\nStatus: install ok installed\nVersion: 1\n" for name in HOST_PACKAGES]
    _text(root, "var/lib/dpkg/status", "\n".join(rows))
    _text(root, "usr/bin/qemu-aarch64-static", "")
    _text(root, "proc/sys/fs/binfmt_misc/qemu-aarch64", "enabled\ninterpreter /usr/bin/qemu-aarch64-static\n")
    _text(root, "proc/1/comm", "systemd\n")
    return root


def usb(devices: Path, *products: str) -> Path:
    """The devices of a machine with those of NVIDIA's on USB, and a hub and a mouse beside them."""
    rows = [("1d6b", "0002"), ("046d", "c077"), *(("0955", product) for product in products)]
    for port, (vendor, product) in enumerate(rows):
        values = {"idVendor": vendor, "idProduct": product, "busnum": "1", "devpath": str(port)}
        for name, value in values.items():
            _text(devices, f"1-{port}/{name}", f"{value}\n")
        _text(devices, f"1-{port}:1.0/bInterfaceClass", "ff\n")
    return devices


def hashed(folder: Path) -> str:
    """A hash of every name, kind, mode, owner and byte below a folder; times of folders do not count."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        told = os.readlink(path).encode() if path.is_symlink() else b""
        if stat.S_ISREG(status.st_mode):
            told = path.read_bytes()
        state.update(
            f"{path.relative_to(folder)}\0{status.st_mode}\0{status.st_uid}:{status.st_gid}\0".encode()
        )
        state.update(hashlib.sha256(told).digest())
    return state.hexdigest()


def _release(release: str) -> str:
    major, minor, patch = release.split(".")
    return f"# R{major} (release), REVISION: {minor}.{patch}, GCID: 1, BOARD: generic, EABI: aarch64\n"


def _boards(tree: Path, major: int) -> None:
    join = "+" if major == 35 else "-"
    nano = "p3768-0000+p3767-0000" if major == 35 else "p3768-0000-p3767-0000-a0"
    agx = f"p3737-0000{join}p3701-0000"
    _text(tree, "p3767.conf.common", "CHIPID=0x23;\n" + _sizes(major, 57))
    two = _TWO_ROOTS.format("EMMC_CFG=flash_t234_qspi_sdmmc_enc_rootfs_ab.xml;")
    _text(
        tree,
        "p3701.conf.common",
        f"CHIPID=0x23;\nEMMC_CFG=flash_t234_qspi_sdmmc.xml;\n{_sizes(major, 57)}{two}",
    )
    default = "EMMC_CFG=flash_t234_qspi_sd.xml;\n"
    _text(tree, f"{nano}.conf", f'source "${{LDK_DIR}}/p3767.conf.common";\n{_BUP}{default}')
    _text(
        tree,
        f"{nano}-nvme.conf",
        f'source "${{LDK_DIR}}/{nano}.conf";\nEMMC_CFG=flash_t234_qspi_nvme.xml;\n',
    )
    if major == 36:
        _text(tree, f"{agx}.conf.common", 'source "${LDK_DIR}/p3701.conf.common";\n')
        _text(tree, f"{agx}.conf", f'source "${{LDK_DIR}}/{agx}.conf.common";\n')
    else:
        _text(tree, f"{agx}.conf", 'source "${LDK_DIR}/p3701.conf.common";\n')
    links = {"jetson-orin-nano-devkit": nano, "jetson-orin-nano-devkit-nvme": f"{nano}-nvme",
             "jetson-agx-orin-devkit": agx}  # fmt: skip
    if major >= 38:
        qspi = "p3768-0000-p3767-0000-a0-qspi"
        _text(tree, f"{qspi}.conf", f'source "${{LDK_DIR}}/{nano}.conf";\nNO_ROOTFS=1;\n')
        _text(tree, "p3768-0000-p3767-0000-super.conf", f'source "${{LDK_DIR}}/{nano}.conf";\n')
        _text(tree, "nv_public_common_board.conf", "CHIPID=0x26;\n")
        layout = (
            "EXTERNAL_DEVICE=nvme0n1p1;\nEXTERNAL_PT_LAYOUT=tools/kernel_flash/flash_l4t_t264_nvme.xml;\n"
        )
        layout += _TWO_ROOTS.format(
            "EXTERNAL_PT_LAYOUT=tools/kernel_flash/flash_l4t_t264_nvme_rootfs_ab_enc.xml;"
        )
        common = 'source "nv_public_common_board.conf"\n' + _sizes(major, 234)
        _text(tree, "t264.conf.common", common)
        for name in ("p3834-0008-p4071-0000-nvme", "p3834-0000-p4071-0000-nvme"):
            _text(tree, f"{name}.conf", 'source "${LDK_DIR}/t264.conf.common";\n' + layout)
        links |= {"jetson-agx-thor-devkit": "p3834-0008-p4071-0000-nvme",
                  "jetson-orin-nano-devkit-qspi": qspi, "jetson-agx-thor-t4000": "p3834-0000-p4071-0000-nvme",
                  "jetson-orin-nano-devkit-super": "p3768-0000-p3767-0000-super"}  # fmt: skip
    for name, real in links.items():
        (tree / f"{name}.conf").symlink_to(f"{real}.conf")


def _sizes(major: int, external_gib: int) -> str:
    if major < 39:
        return ""
    given = {"EXT": external_gib, "INT": 57}
    products = "".join(
        f"STORAGE_SIZE_{gib}GiB=$(( {gib} * 1024 * 1024 * 1024 ));\n" for gib in set(given.values())
    )
    return products + "".join(
        f'{name}_STORAGE_SIZE="${{STORAGE_SIZE_{gib}GiB}}";\n' for name, gib in given.items()
    )


def _layouts(tree: Path, major: int) -> None:
    old = major == 35
    cfg = f"bootloader/{'t186ref' if old else 'generic'}/cfg"
    inside, outside = ("124321792", "122159104") if old else ("INT_NUM_SECTORS", "EXT_NUM_SECTORS")
    _layout(tree, f"{cfg}/flash_t234_qspi.xml", ("spi", "131072"))
    for name, device in (("nvme", "nvme"), ("sd", "sdcard"), ("sdmmc", "sdmmc_user")):
        _layout(tree, f"{cfg}/flash_t234_qspi_{name}.xml", ("spi", "131072"), (device, inside))
    _layout(tree, f"{KERNEL_FLASH}/{_T234}", ("external", outside))
    if old:
        _layout(tree, f"{KERNEL_FLASH}/flash_l4t_external.xml", ("external", "119537664"))
        _layout(tree, f"{KERNEL_FLASH}/flash_l4t_nvme.xml", ("external", "200000000"))
    else:
        for name in ("flash_l4t_external.xml", "flash_l4t_nvme.xml"):
            (tree / KERNEL_FLASH / name).symlink_to(_T234)
    if major >= 38:
        _layout(tree, f"{KERNEL_FLASH}/flash_l4t_t264_nvme.xml", ("external", outside))
        _layout(tree, "bootloader/flash_l4t_t264_qspi.xml", ("spi", "131072"))


def _layout(tree: Path, path: str, *devices: tuple[str, str]) -> None:
    rows = "".join(
        f'<device type="{kind}" instance="0" sector_size="512" num_sectors="{sectors}"></device>\n'
        for kind, sectors in devices
    )
    _text(tree, path, f"<partition_layout>\n{rows}</partition_layout>\n")


def _rootfs(root: Path, release: str) -> None:
    major = int(release.split(".")[0])
    _text(root, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    _text(root, "etc/shadow", "root:*:20000:0:99999:7:::\n", 0o640)
    _text(root, "etc/group", "root:x:0:\nsudo:x:27:\nvideo:x:44:\n")
    _text(root, "etc/hosts", "127.0.0.1 localhost\n")
    _text(root, "etc/hostname", "localhost\n")
    _text(root, "etc/nv_tegra_release", _release(release))
    _text(root, "boot/extlinux/extlinux.conf", "DEFAULT primary\n")
    _text(root, "usr/bin/sudo", "", 0o4755)
    _text(root, "usr/lib/systemd/systemd", "")
    wizard = "nv-oem-config.target" if major < 38 else "nv-oobe.target"
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system/default.target").symlink_to(f"/usr/lib/systemd/system/{wizard}")
    if major < 38:
        _text(root, f"usr/share/doc/nvidia-tegra/{LICENSE}.gz", "")
    core = "Package: nvidia-l4t-core\nStatus: install ok installed\nArchitecture: arm64\nMaintainer: t\n"
    _text(root, "var/lib/dpkg/status", f"{core}Version: {release}-20250101000000\nDescription: t\n\n")
    _text(root, "var/lib/dpkg/info/format", "1\n")
    _text(root, "var/lib/dpkg/info/nvidia-l4t-core.list", "/.\n")
    for name in ("updates", "triggers"):
        (root / "var/lib/dpkg" / name).mkdir()
    for name in ("home", "tmp", "root"):
        (root / name).mkdir()


def _text(folder: Path, path: str, text: str, mode: int = 0o644) -> None:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)

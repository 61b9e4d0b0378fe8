"""What goes wrong before a Jetson is flashed, from users' reports and the vendor's own messages.

Each row spoils a whole tree, its order or the machine in one way. It says which check must name it, and with
which words; it knows nothing of how the checks look.
"""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import l4t_trees
from l4t_trees import KERNEL_FLASH, LICENSE, R35, R36, R36_2, R38, R39, SERVED

from edge.deploy.flash.preflight import Order

Spoil = Callable[[Order, random.Random], Order | None]
ORIN = (R36, R39)
_STATUS = "var/lib/dpkg/status"


@dataclass(frozen=True)
class Cause:
    """One way to go wrong."""

    what: str
    check: str
    said: str  # a regular expression
    releases: tuple[str, ...]
    spoil: Spoil


def _put(order: Order, path: str, text: str) -> None:
    place = order.tree / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def _gone(*paths: str) -> Spoil:
    """One of these is missing."""

    def spoil(order: Order, chance: random.Random) -> None:
        place = order.tree / chance.choice(paths)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()

    return spoil


def _left(*paths: str) -> Spoil:
    return lambda order, chance: _put(order, f"rootfs/{chance.choice(paths)}", "")


def _change(**values: object) -> Spoil:
    def spoil(order: Order, chance: random.Random) -> Order:
        drawn = {
            name: chance.choice(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return dataclasses.replace(order, **drawn)

    return spoil


def _owned(*paths: str) -> Spoil:
    def spoil(order: Order, chance: random.Random) -> None:
        os.chown(order.tree / "rootfs" / chance.choice(paths), chance.choice([1000, 501]), 1000)

    return spoil


def _usb(*sets: tuple[str, ...]) -> Spoil:
    def spoil(order: Order, chance: random.Random) -> None:
        shutil.rmtree(order.host.devices)
        l4t_trees.usb(order.host.devices, *chance.choice(sets))

    return spoil


def _host(path: str, text: str | None) -> Spoil:
    def spoil(order: Order, chance: random.Random) -> None:
        place = order.host.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if text is not None:
            place.write_text(text)

    return spoil


def _uninstalled(*names: str) -> Spoil:
    def spoil(order: Order, chance: random.Random) -> None:
        status = order.host.root / _STATUS
        row = f"Package: {chance.choice(names)}\nStatus: "
        assert f"{row}install ok installed" in status.read_text()
        removed = f"{row}deinstall ok config-files"
        status.write_text(status.read_text().replace(f"{row}install ok installed", removed))

    return spoil


def _other_release(path: str, line: str) -> Spoil:
    def spoil(order: Order, chance: random.Random) -> None:
        _put(order, path, line.format(chance.choice([35, 37, 40]), chance.randint(0, 9)))

    return spoil


def _mixed_packages(order: Order, chance: random.Random) -> None:
    status = order.tree / "rootfs" / _STATUS
    status.write_text(status.read_text().replace("Version: ", f"Version: {chance.randint(1, 2)}"))


def _other_core(order: Order, chance: random.Random) -> None:
    folder = "nv_tegra/l4t_deb_packages"
    _put(order, f"{folder}/nvidia-l4t-core_35.{chance.randint(1, 6)}.0-20240101000000_arm64.deb", "")


def _half_way(order: Order, chance: random.Random) -> None:
    name = chance.choice(["bash", "nvidia-l4t-init"])
    state = chance.choice(["unpacked", "half-configured", "half-installed", "triggers-pending"])
    with (order.tree / "rootfs" / _STATUS).open("a") as file:
        file.write(f"Package: {name}\nStatus: install ok {state}\nVersion: 1\n\n")


def _chain_broken(order: Order, chance: random.Random) -> None:
    conf = order.tree / f"{order.board}.conf"
    common = order.tree / ("t264.conf.common" if "thor" in order.board else "p3767.conf.common")
    place = chance.choice([conf.parent / os.readlink(conf), common])
    chance.choice([place.unlink, lambda: place.write_text("")])()


def _layout_words(order: Order, chance: random.Random) -> None:
    name = "flash_l4t_t264_nvme.xml" if "thor" in order.board else "flash_l4t_t234_nvme.xml"
    path = order.tree / KERNEL_FLASH / name
    word = chance.choice(["", "SECTORS", "-5", "1e9", "INT_SECTORS"])
    path.write_text(path.read_text().replace("EXT_NUM_SECTORS", word))


def _no_password_script(order: Order, chance: random.Random) -> None:
    (order.tree / "tools/l4t_create_default_user.sh").unlink()


def _no_license(order: Order, chance: random.Random) -> None:
    for path in [*order.tree.rglob(f"{LICENSE}*")]:
        path.unlink()


def _sudo(order: Order, chance: random.Random) -> None:
    (order.tree / "rootfs/usr/bin/sudo").chmod(chance.choice([0o755, 0o555, 0o711]))


def _wizard(order: Order, chance: random.Random) -> Order:
    return dataclasses.replace(
        order, secrets=[file for file in order.secrets if file.path.startswith("etc/")]
    )


def _no_owner_of_keys(order: Order, chance: random.Random) -> Order:
    (order.tree / "rootfs/etc/systemd/system/default.target").unlink()
    return dataclasses.replace(order, secrets=[file for file in order.secrets if file.path != "user"])


def _not_unpacked(order: Order, chance: random.Random) -> None:
    for path in (order.tree / "rootfs").iterdir():
        if path.name != "README.txt":
            shutil.rmtree(path)


def _own_root(order: Order, chance: random.Random) -> None:
    shutil.move(order.tree / "rootfs", order.tree / "unused")
    (order.tree / "rootfs").symlink_to("/")


CAUSES = (
    Cause("an older L4T", "release", "and later; take a newer", (R35, R36_2), lambda order, chance: None),
    Cause("a newer L4T than any kit", "release", "which is not known; kits are for", ("37.0.0", "40.1.0"),
          lambda order, chance: None),
    Cause("a folder that is no tree", "release", "is no Linux_for_Tegra", SERVED, _gone("nv_tegra")),
    Cause("no such folder", "release", "is not a folder", SERVED,
          lambda order, chance: dataclasses.replace(order, tree=order.tree / f"no-{chance.randint(1, 99)}")),
    Cause("apply_binaries of another release", "release", "mixes releases", SERVED,
          _other_release("rootfs/etc/nv_tegra_release", "# R{} (release), REVISION: {}.0, GCID: 1\n")),
    Cause("two driver packages in one folder", "release", "mixes releases", SERVED,
          _other_release("nv_tegra/nv_tegra_release", "# R{} (release), REVISION: {}.0, GCID: 1\n")),
    Cause("packages of another release in the root", "release", "mixes releases", SERVED, _mixed_packages),
    Cause("packages of another release beside", "release", "mixes releases", SERVED, _other_core),
    Cause("a kit for the other JetPack", "kit", "make one with --target jetson-jp6", (R36,),
          _change(target="jetson-jp7")),
    Cause("a kit for the older JetPack", "kit", "make one with --target jetson-jp7", (R38, R39),
          _change(target="jetson-jp6")),
    Cause("a kit for a Raspberry Pi", "kit", "the tree is a Jetson's", SERVED,
          _change(target=["pi-trixie", "pi-bookworm", "debian-amd64", ""])),
    Cause("a board's name misspelled", "board", "one that it has: jetson-", SERVED,
          _change(board=["jetson-orin-nano", "jetson-orin-nano-devkit-maxn", "jetson-agx-thor-devkitt"])),
    Cause("a board's file as its name", "board", "expected a name such as", SERVED,
          _change(board=["jetson-orin-nano-devkit.conf", "./jetson", "jetson orin"])),
    Cause("a broken chain of board files", "board", "missing or empty", SERVED, _chain_broken),
    Cause("Orin's board in Thor's release", "board", "for Thor only", (R38,),
          _change(board=["jetson-orin-nano-devkit", "jetson-agx-orin-devkit"])),
    Cause("a board file without a root", "board", "NO_ROOTFS=1", (R39,),
          _change(board="jetson-orin-nano-devkit-qspi")),
    Cause("a storage that the module has not", "call", "--storage is emmc", ORIN, _change(storage="emmc")),
    Cause("a card for Thor", "call", "flashed to nvme", (R38,), _change(storage=["sd", "usb", "emmc"])),
    Cause("no flasher", "call", "l4t_initrd_flash.sh is missing", SERVED,
          _gone(f"{KERNEL_FLASH}/l4t_initrd_flash.sh")),
    Cause("no layout of the module's own memory", "call", "flash_t234_qspi.xml is missing", ORIN,
          _gone("bootloader/generic/cfg/flash_t234_qspi.xml", "bootloader/generic")),
    Cause("no layout of the disk", "disk", "flash_l4t_t234_nvme.xml is missing", ORIN,
          _gone(f"{KERNEL_FLASH}/flash_l4t_t234_nvme.xml")),
    Cause("a layout with another word", "disk", "has num_sectors .*expected|has no disk", SERVED,
          _layout_words),
    Cause("a disk that is too small", "disk", "wants 57.0 GiB, --disk has", ORIN,
          _change(disk=["32GB", "16GiB", "59GB", "58000MB"])),
    Cause("a disk too small for Thor", "disk", "wants 234.0 GiB, --disk has", (R38,),
          _change(disk=["64GB", "128GB", "250GB"])),
    Cause("a size that is none", "disk", "expected one such as", SERVED,
          _change(disk=["big", "-64GB", "64 gigs"])),
    Cause("a sample root that was not unpacked", "rootfs", "is not unpacked", SERVED, _not_unpacked),
    Cause("a root that is this machine's", "rootfs", "of this machine", SERVED, _own_root),
    Cause("a copy without root's ownership", "ownership", "belongs to user", SERVED,
          _owned("etc/passwd", "etc", "usr", "etc/shadow", "")),
    Cause("unpacked without the modes of root", "ownership", "set-user-id", SERVED, _sudo),
    Cause("apply_binaries was not run", "apply_binaries", "it was not run", SERVED,
          _gone("rootfs/etc/nv_tegra_release", "rootfs/boot/extlinux/extlinux.conf", f"rootfs/{_STATUS}")),
    Cause("apply_binaries was interrupted", "apply_binaries", "it was interrupted", SERVED,
          _left("usr/bin/qemu-aarch64-static", "dev/random", "opt/nvidia/l4t-packages/a.deb",
                "opt/nvidia/l4t-packages/.nv-l4t-disable-boot-fw-update-in-preinstall")),
    Cause("packages half way", "dpkg", "packages half way", SERVED, _half_way),
    Cause("dpkg was interrupted", "dpkg", "updates is not empty", SERVED,
          _left("var/lib/dpkg/updates/0000", "var/lib/dpkg/updates/0007")),
    Cause("more than the disk takes", "space", "MB are needed", SERVED,
          _change(deb_bytes=[1 << 50, 1 << 46])),
    Cause("the wizard would wait", "first start", "wizard waits", SERVED, _wizard),
    Cause("keys of nobody", "user", "belongs to nobody", SERVED, _no_owner_of_keys),
    Cause("no script for the user", "user", "create_default_user.sh is missing", SERVED, _no_password_script),
    Cause("no license text", "user", "without which", SERVED, _no_license),
    Cause("a license that nobody accepted", "license", "--accept-nvidia-license|accept NVIDIA", SERVED,
          _change(accepted=False)),
    Cause("no emulator", "qemu", "is missing", SERVED, _host("usr/bin/qemu-aarch64-static", None)),
    Cause("an emulator that is off", "qemu", "is not enabled", SERVED,
          _host("proc/sys/fs/binfmt_misc/qemu-aarch64", "disabled\n")),
    Cause("programs that the flasher calls", "packages", "flasher needs", SERVED,
          _uninstalled("sshpass", "abootimg", "libxml2-utils", "nfs-kernel-server", "lbzip2", "cpio")),
    Cause("programs that the later flasher calls", "packages", "flasher needs", (R38, R39),
          _uninstalled("xmlstarlet", "zstd", "python3-usb", "gdisk")),
    Cause("no IPv6", "network", "IPv6 is off", SERVED,
          _host("proc/sys/net/ipv6/conf/all/disable_ipv6", "1\n")),
    Cause("no board in recovery mode", "USB", "no board is in recovery mode", SERVED, _usb((), ("7045",))),
    Cause("a board in the flasher's system", "USB", "0955:7035", SERVED, _usb(("7035",))),
    Cause("two boards", "USB", "boards are in recovery mode", SERVED,
          _usb(("7523", "7523"), ("7026", "7026"))),
    Cause("another module", "USB", "0955:", SERVED,
          _usb(("7023",), ("7223",), ("7e19",), ("7019",), ("7418",))),
    Cause("not root", "root", "this is not root", SERVED,
          lambda order, chance: dataclasses.replace(order, host=dataclasses.replace(order.host, uid=1000))),
    Cause("an archive of nobody knows what", "call", "--module is missing", ORIN, _change(massflash=[2, 5])),
    Cause("an archive for another module", "call", "--module is '3701", ORIN,
          _change(massflash=[2, 5], module=["3701-0005", "3701-0004"])),
    Cause("too many boards at a time", "call", "expected 1 to", ORIN,
          _change(massflash=[0, -1, 1000], module="3767-0005")),
)  # fmt: skip

"""The one call of NVIDIA's flasher: it is printed for a person, and never run here.

The standard calls are those of README_initrd_flash.txt and nvsdkmanager_flash.sh (R35.3.1, R36.2, R39.2).
Board and root device are taken by position, so they stand last.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash.l4t_board import AGX_ORIN, ORIN_NANO, T4000, THOR, Board
from edge.deploy.flash.l4t_release import Release
from edge.errors import ConfigError

FLASHER = "tools/kernel_flash/l4t_initrd_flash.sh"
_EXTERNAL = {"nvme": ("nvme0n1p1", "flash_l4t_t234_nvme.xml", "BootOrderNvme.dtbo"),
             "usb": ("sda1", "flash_l4t_external.xml", "BootOrderUsb.dtbo")}  # fmt: skip
_STORAGE = {
    ORIN_NANO: ("nvme", "sd", "usb"),
    AGX_ORIN: ("nvme", "emmc", "usb"),
    THOR: ("nvme",),
    T4000: ("nvme",),
}
_THOR_LAYOUT = "tools/kernel_flash/flash_l4t_t264_nvme.xml"
_INTERNAL = {"sd": "flash_t234_qspi_sd.xml", "emmc": "flash_t234_qspi_sdmmc.xml"}
# Module -> its boards, FAB and BOARDREV of R36's README, FAB and CHIP_SKU of R39's jetson_board_spec.cfg.
_MODULES = {
    "3701-0000": (AGX_ORIN, "TS4", "A.0", "300", "D0"), "3701-0004": (AGX_ORIN, "TS4", "", "300", "D2"),
    "3701-0005": (AGX_ORIN, "500", "", "300", "D0"), "3701-0008": (AGX_ORIN, "", "", "300", "90"),
    "3767-0000": (ORIN_NANO, "300", "", "000", "D3"), "3767-0001": (ORIN_NANO, "300", "", "000", "D4"),
    "3767-0003": (ORIN_NANO, "300", "", "000", "D5"), "3767-0005": (ORIN_NANO, "300", "", "000", "D5"),
    "3767-0004": (ORIN_NANO, "300", "", "000", "D6"), "3834-0008": (THOR, "", "", "000", "A0"),
    "3834-0000": (T4000, "", "", "000", "E2"),
}  # fmt: skip
_MOST_BOARDS = 100


@dataclass(frozen=True)
class Call:
    """A command line for root, in the tree's folder."""

    environment: Mapping[str, str]
    words: tuple[str, ...]

    def __str__(self) -> str:
        given = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join(["sudo", *given, shlex.join(self.words)])


def call(
    tree: Path,
    board: Board,
    release: Release,
    storage: str,
    massflash: int | None = None,
    module: str | None = None,
) -> Call:
    """The call for ``storage``; with ``massflash`` the one that makes NVIDIA's archive, without a board.

    Raises:
        ConfigError: a storage that the board does not have, a missing file, an unknown module.
    """
    layout(tree, board, storage)
    if not (tree / FLASHER).is_file():
        raise ConfigError(f"{tree / FLASHER} is missing; unpack NVIDIA's driver package again")
    environment, words, device = _standard(tree, board, storage)
    if massflash is not None:
        environment = {**_module(board, release, module), **environment}
        words = ["--no-flash", *_many(board, release, massflash), *words]
    elif module:
        raise ConfigError("--module goes with --massflash alone; a board on USB tells its own")
    return Call(environment, (f"./{FLASHER}", *words, board.name, device))


def archive_calls(board: Board, storage: str, massflash: int) -> list[str]:
    """What a factory runs with the archive, on any machine with NVIDIA's prerequisites."""
    device = "external" if board.family == AGX_ORIN and storage in _EXTERNAL else "internal"
    network = [] if board.family in (THOR, T4000) else ["--network", "usb0"]
    words = (f"./{FLASHER}", "--flash-only", "--massflash", str(massflash), *network, board.name, device)
    return [
        f"sudo tar xpfv mfi_{board.name}.tar.gz", f"cd mfi_{board.name}", str(Call({}, words)),
    ]  # fmt: skip


def layout(tree: Path, board: Board, storage: str) -> str:
    """The partition file whose disk the system goes to, as a path in the tree.

    Raises:
        ConfigError: a storage that the board does not have.
    """
    known = _STORAGE[board.family]
    if storage not in known:
        raise ConfigError(
            f"--storage is {storage}, but --board {board.name} ({board.family}) is flashed to "
            f"{' or '.join(known)} (nvsdkmanager_flash.sh); name one of those"
        )
    if board.family in (THOR, T4000):
        return board.values.get("EXTERNAL_PT_LAYOUT") or _THOR_LAYOUT
    if storage in _EXTERNAL:
        return f"tools/kernel_flash/{_EXTERNAL[storage][1]}"
    said = Path(board.values.get("EMMC_CFG") or _INTERNAL[storage]).name
    if said.startswith("flash_t234_qspi_nvme"):
        raise ConfigError(
            f"--board {board.name} starts from NVMe ({said}), --storage is {storage}; name the board "
            "without -nvme"
        )
    return f"{_cfg(tree)}/{said}"


def _standard(tree: Path, board: Board, storage: str) -> tuple[dict[str, str], list[str], str]:
    """Environment, options and root device of one board on USB."""
    if board.family in (THOR, T4000):  # the board's file names disk and layout, and usb0 is the default
        return {}, [], "internal"
    network = ["--network", "usb0"]
    if storage not in _EXTERNAL:
        return {}, network, "internal"
    device, _, overlay = _EXTERNAL[storage]
    words = ["--external-device", device, "-c", layout(tree, board, storage)]
    if board.family == AGX_ORIN:
        return {}, [*words, *network], "external"
    qspi = f"{_cfg(tree)}/flash_t234_qspi.xml"
    if not (tree / qspi).is_file():
        raise ConfigError(f"{tree / qspi} is missing; unpack NVIDIA's driver package again")
    # The module's own flash memory takes its partitions only, and no system.
    inner = ["-p", f"--no-systemimg -c {qspi}"]
    return {"ADDITIONAL_DTB_OVERLAY_OPT": overlay}, [*words, *inner, *network], "internal"


def _cfg(tree: Path) -> str:
    """Up to R35 the folder was called t186ref."""
    old = "bootloader/t186ref/cfg"
    return old if (tree / old).is_dir() else "bootloader/generic/cfg"


def _many(board: Board, release: Release, massflash: int) -> list[str]:
    if not 1 <= massflash <= _MOST_BOARDS:
        raise ConfigError(
            f"--massflash is {massflash}, expected 1 to {_MOST_BOARDS}; name how many hang on USB at a time"
        )
    if "-nvme" in board.name:
        raise ConfigError(
            f"--board {board.name} reads a second board file, which {release.line}'s archive does not hold; "
            "name the board without -nvme"
        )
    return ["--massflash", str(massflash)]


def _module(board: Board, release: Release, module: str | None) -> dict[str, str]:
    fitting = [name for name, row in _MODULES.items() if row[0] == board.family]
    if module not in fitting:
        told = (
            f"is {module!r:.40}"
            if module
            else f"is missing: {release.line}'s images are made without a board that tells it"
        )
        raise ConfigError(f"--module {told}; name one of {', '.join(fitting)}")
    _, old_fab, revision, fab, chip = _MODULES[module]
    identity, _, sku = module.partition("-")
    known = {"BOARDID": identity, "BOARDSKU": sku}
    if release.major >= 38:
        return {**known, "FAB": fab, "BOARDREV": "", "CHIP_SKU": f"00:00:00:{chip}"}
    if not old_fab:
        raise ConfigError(f"no FAB of {module} is known for {release}; flash its boards one by one, on USB")
    return {**known, "FAB": old_fab, "BOARDREV": revision}

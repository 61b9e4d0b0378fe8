"""The printed call, argument by argument, against what each release's parser takes; it is never run."""

from __future__ import annotations

import shlex
from pathlib import Path

import l4t_trees
import pytest
from l4t_options import ENVIRONMENT, parse
from l4t_trees import R35, R36, R36_2, R38, R39

from edge.deploy.flash import l4t_board, l4t_call, l4t_layout
from edge.deploy.flash.l4t_call import FLASHER, Call
from edge.deploy.flash.l4t_release import Release
from edge.errors import ConfigError

NANO, AGX, THOR = "jetson-orin-nano-devkit", "jetson-agx-orin-devkit", "jetson-agx-thor-devkit"
ORIN = (R35, R36_2, R36, R39)
NVME = "tools/kernel_flash/flash_l4t_t234_nvme.xml"


def call(folder: Path, release: str, board: str, storage: str, *more: object) -> tuple[Call, Path, Release]:
    tree = l4t_trees.make(folder / release, release, prepared=False)
    numbers = Release(*map(int, release.split(".")))
    return (
        l4t_call.call(tree, l4t_board.read(tree, board, numbers), numbers, storage, *more),
        tree,
        numbers,
    )


def parsed(made: Call, tree: Path, release: Release) -> tuple[dict[str, str], str, str]:
    """As the release reads it; each file that it names is there."""
    assert all(release.major in ENVIRONMENT[name] for name in made.environment)
    program, *words = made.words
    assert (tree / program).is_file()
    options, board, device = parse(words, release.major)
    files = [options.get("-c"), *shlex.split(options.get("-p", ""))]
    for name in files:
        assert not name or not name.endswith(".xml") or (tree / name).is_file(), name
    assert (tree / f"{board}.conf").is_file()
    return options, board, device


@pytest.mark.parametrize("release", ORIN)
@pytest.mark.parametrize(("storage", "disk"), [("nvme", "nvme0n1p1"), ("usb", "sda1")])
def test_an_orin_nano_on_a_disk_has_its_own_flash_memory_written_too(
    quick_path: Path, release: str, storage: str, disk: str
) -> None:
    made, tree, numbers = call(quick_path, release, NANO, storage)
    options, board, device = parsed(made, tree, numbers)
    folder = "t186ref" if release == R35 else "generic"
    layout = NVME if storage == "nvme" else "tools/kernel_flash/flash_l4t_external.xml"
    assert options == {
        "--external-device": disk,
        "-c": layout,
        "-p": f"--no-systemimg -c bootloader/{folder}/cfg/flash_t234_qspi.xml",
        "--network": "usb0",
    }
    overlay = {"nvme": "BootOrderNvme.dtbo", "usb": "BootOrderUsb.dtbo"}[storage]
    assert made.environment == {"ADDITIONAL_DTB_OVERLAY_OPT": overlay}
    assert (board, device) == (NANO, "internal")


@pytest.mark.parametrize("release", ORIN)
def test_card_and_own_memory_need_no_layout(quick_path: Path, release: str) -> None:
    for board, storage in ((NANO, "sd"), (AGX, "emmc")):
        made, tree, numbers = call(quick_path / board, release, board, storage)
        assert parsed(made, tree, numbers) == ({"--network": "usb0"}, board, "internal")
        assert not made.environment


@pytest.mark.parametrize("release", ORIN)
def test_an_agx_orin_on_a_disk_starts_from_it(quick_path: Path, release: str) -> None:
    made, tree, numbers = call(quick_path, release, AGX, "nvme")
    options, board, device = parsed(made, tree, numbers)
    assert options == {"--external-device": "nvme0n1p1", "-c": NVME, "--network": "usb0"}
    assert (board, device) == (AGX, "external")


@pytest.mark.parametrize("release", [R38, R39])
def test_thors_board_file_names_everything(quick_path: Path, release: str) -> None:
    made, tree, numbers = call(quick_path, release, THOR, "nvme")
    assert parsed(made, tree, numbers) == ({}, THOR, "internal")
    assert str(made) == f"sudo ./{FLASHER} {THOR} internal"


@pytest.mark.parametrize(
    ("release", "module", "told"),
    [
        (R36, "3767-0005", {"FAB": "300", "BOARDREV": ""}),
        (R39, "3767-0005", {"FAB": "000", "BOARDREV": "", "CHIP_SKU": "00:00:00:D5"}),
        (R39, "3767-0000", {"FAB": "000", "BOARDREV": "", "CHIP_SKU": "00:00:00:D3"}),
    ],
)
def test_an_archive_is_made_without_a_board(
    quick_path: Path, release: str, module: str, told: dict[str, str]
) -> None:
    made, tree, numbers = call(quick_path, release, NANO, "nvme", 5, module)
    options, _, _ = parsed(made, tree, numbers)
    assert (options["--massflash"], options["--no-flash"]) == ("5", "")
    wanted = {"BOARDID": "3767", "BOARDSKU": module[-4:], **told}
    assert {name: made.environment[name] for name in wanted} == wanted
    extracted, folder, factory = l4t_call.archive_calls(l4t_board.read(tree, NANO, numbers), "nvme", 5)
    assert (extracted, folder) == (f"sudo tar xpfv mfi_{NANO}.tar.gz", f"cd mfi_{NANO}")
    options, board, device = parse(shlex.split(factory)[2:], numbers.major)
    assert options == {"--flash-only": "", "--massflash": "5", "--network": "usb0"}
    assert (board, device) == (NANO, "internal"), "both, for R38 takes the last but one word as the board"


def test_a_shell_reads_the_printed_line_as_it_was_meant(quick_path: Path) -> None:
    made, _, _ = call(quick_path, R36, NANO, "nvme", 2, "3767-0003")
    sudo, *words = shlex.split(str(made))
    given = dict(word.split("=", 1) for word in words[: len(made.environment)])
    assert (sudo, given) == ("sudo", made.environment)
    assert tuple(words[len(given) :]) == made.words


@pytest.mark.parametrize(
    ("release", "board", "storage", "more", "said"),
    [
        (R36, NANO, "emmc", (), "--storage is emmc, .*Orin Nano or NX.* nvme or sd or usb"),
        (R36, AGX, "sd", (), "nvme or emmc or usb"),
        (R39, THOR, "sd", (), "flashed to nvme"),
        (R36, f"{NANO}-nvme", "sd", (), "starts from NVMe .*without -nvme"),
        (R36, f"{NANO}-nvme", "nvme", (2, "3767-0005"), "archive does not hold"),
        (R36, NANO, "nvme", (0, "3767-0005"), "--massflash is 0"),
        (R36, NANO, "nvme", (2, None), "--module is missing.*3767-0005"),
        (R36, NANO, "nvme", (2, "3701-0005"), "--module is '3701-0005'"),
        (R36, AGX, "nvme", (2, "3701-0008"), "no FAB of 3701-0008 is known for R36.4.3"),
        (R36, NANO, "nvme", (None, "3767-0005"), "--module goes with --massflash"),
        (R38, NANO, "nvme", (), "R38.4.0 is for Thor only"),
        (R39, f"{NANO}-qspi", "nvme", (), "NO_ROOTFS=1"),
        (R36, "jetson-orin-nano-devkt", "nvme", (), "one that it has: jetson-orin-nano-devkit"),
        (R36, f"{NANO}-super", "nvme", (), "has no jetson-orin-nano-devkit-super.conf"),
        (R36, "../etc/passwd", "nvme", (), "expected a name"),
    ],
)
def test_what_a_board_does_not_have_is_refused(
    quick_path: Path, release: str, board: str, storage: str, more: tuple[object, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        call(quick_path, release, board, storage, *more)


@pytest.mark.parametrize(
    ("release", "board", "storage", "size"),
    [
        (R35, NANO, "nvme", 122159104 * 512),  # a number in that release
        (R35, NANO, "usb", 119537664 * 512),
        (R36, NANO, "nvme", 119537664 * 512),  # a word, and a constant of flash.sh
        (R36, NANO, "sd", 119537664 * 512),
        (R39, AGX, "emmc", 57 << 30),  # a word, and the board file's size
        (R38, THOR, "nvme", 234 << 30),
        (R39, THOR, "nvme", 234 << 30),
    ],
)
def test_a_layout_tells_the_least_size_of_a_disk(
    quick_path: Path, release: str, board: str, storage: str, size: int
) -> None:
    tree = l4t_trees.make(quick_path, release, prepared=False)
    numbers = Release(*map(int, release.split(".")))
    found = l4t_board.read(tree, board, numbers)
    assert l4t_layout.disk_bytes(tree, l4t_call.layout(tree, found, storage), found, numbers) == size


def test_what_waits_for_a_variable_does_not_count(quick_path: Path) -> None:
    tree = l4t_trees.make(quick_path, R39, prepared=False)
    layouts = {
        (NANO, "sd"): "bootloader/generic/cfg/flash_t234_qspi_sd.xml",
        (AGX, "emmc"): "bootloader/generic/cfg/flash_t234_qspi_sdmmc.xml",
        (THOR, "nvme"): "tools/kernel_flash/flash_l4t_t264_nvme.xml",
    }
    for (name, storage), layout in layouts.items():
        board = l4t_board.read(tree, name, Release(39, 2, 0))
        assert l4t_call.layout(tree, board, storage) == layout


def test_a_size_that_somebody_wrote_into_a_board_file_counts(quick_path: Path) -> None:
    tree = l4t_trees.make(quick_path, R39, prepared=False)
    common = tree / "p3767.conf.common"
    common.write_text(common.read_text().replace("$(( 57 *", "$(( 100 *"))
    board = l4t_board.read(tree, NANO, Release(39, 2, 0))
    assert l4t_layout.disk_bytes(tree, NVME, board, Release(39, 2, 0)) == 100 << 30


def test_a_link_that_a_copy_has_made_a_file_of_is_followed(quick_path: Path) -> None:
    tree = l4t_trees.make(quick_path, R36, prepared=False)
    conf = tree / f"{NANO}.conf"
    target = conf.readlink()
    conf.unlink()
    conf.write_text(f"{target}\n")
    assert l4t_board.read(tree, NANO, Release(36, 4, 3)).family == l4t_board.ORIN_NANO


@pytest.mark.parametrize(
    ("said", "size"), [("64GB", 64 * 10**9), ("59.5GiB", int(59.5 * 2**30)), ("1000", 1000)]
)
def test_sizes_are_written_as_on_a_disk(said: str, size: int) -> None:
    assert l4t_layout.size(said) == size


@pytest.mark.parametrize("said", ["", "big", "-1GB", "0GB", "nan", "1e9"])
def test_a_wrong_size_is_refused(said: str) -> None:
    with pytest.raises(ConfigError, match="expected one such as 64GB"):
        l4t_layout.size(said)

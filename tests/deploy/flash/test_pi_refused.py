"""Images that no kit goes into: each is refused with what was found and the fix, and nothing is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pi_images
import pytest
from pi_images import Image, digest, kit

from edge.deploy.flash import pi_files
from edge.deploy.flash.pi_image import Order, flash_image
from edge.errors import ConfigError, EdgeError
from edge.system.steps import Steps

pytestmark = pytest.mark.skipif(bool(pi_images.missing()), reason=f"not there: {pi_images.missing()}")
Change = Callable[[Image], None]


def put(**texts: str) -> Change:
    """Files on the boot partition, by short names."""
    real = {
        "firstrun": "firstrun.sh", "custom": "custom.toml", "userconf": "userconf.txt",
        "user_data": "user-data", "cmdline": "cmdline.txt", "preseed": "rpi-preseed.toml",
    }  # fmt: skip
    return lambda image: image.boot.update({real.get(name, name): text for name, text in texts.items()})


def install(**versions: str) -> Change:
    return lambda image: image.packages.update(
        {name.replace("_", "-"): one for name, one in versions.items()}
    )


def set_(name: str, value: object) -> Change:
    return lambda image: setattr(image, name, value)


def drop(name: str) -> Change:
    return lambda image: image.packages.pop(name) and None


CASES: list[tuple[Change, str]] = [
    (set_("arch", "armhf"), "is armhf, the kit is for arm64; take the 64-bit image"),
    (set_("arch", "amd64"), "is amd64, the kit is for arm64; make one with another --target"),
    (set_("codename", "bookworm"), "is bookworm, the kit is for Raspberry Pi OS 13 (trixie); make"),
    (set_("stage", "stage4"), "is the desktop (stage4 in issue.txt)"),
    (set_("stage", "stage5"), "take Raspberry Pi OS Lite"),
    (install(raspberrypi_ui_mods="1.0"), "is the desktop (the package raspberrypi-ui-mods)"),
    (put(firstrun="#!/bin/sh\n"), "customised by Raspberry Pi Imager 1 (firstrun.sh beside user-data)"),
    (put(user_data="#cloud-config\nhostname: kiosk\n"), "was customised already (hostname in user-data)"),
    (put(user_data="#cloud-config\nusers:\n- name: me\n"), "(users in user-data); start from an image"),
    (put(cmdline="root=x ds=nocloud;i=rpi-imager-178\n"), "already (ds=nocloud;i=rpi-imager-178)"),
    (put(cmdline="root=x systemd.run=/boot/x\n"), "already (systemd.run=/boot/x)"),
    (put(custom="a = 1\n"), "was customised already (custom.toml)"),
    (put(userconf="me:x\n"), "was customised already (userconf.txt)"),
    (put(ssh=""), "was customised already (ssh)"),
    (put(preseed='# x\nconfig_version = "1.0"\n'), "already (settings in rpi-preseed.toml)"),
    (set_("machine_id", "0" * 32), "has run on a board already (/etc/machine-id is set)"),
    (drop("python3-numpy"), "has no package where the kit needs python3-numpy; the board will"),
    (install(python3="3.12.1"), "has version 3.12.1 where the kit needs python3 (>= 3.13~)"),
    (drop("dpkg"), "a root partition without /usr/lib/os-release or dpkg"),
    (set_("boot_sectors", 1024), "MB free on its boot partition, the kit needs"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    kit(folder, size=600_000)
    return folder


def refusal(given: Order) -> str:
    with Steps("emotion-edge") as steps, pytest.raises(EdgeError) as fault:
        flash_image(given, steps)
    assert "\n" not in str(fault.value)
    assert fault.value.exit_code == 2
    return str(fault.value)


@pytest.mark.parametrize(("change", "said"), CASES, ids=[said[:40] for _, said in CASES])
def test_an_image_that_does_not_fit(made: Path, tmp_path: Path, change: Change, said: str) -> None:
    image = Image()
    change(image)
    path = image.write(tmp_path / "raspios.img")
    before = digest(path)
    assert said in refusal(Order(made / "KIT", path, in_place=True))
    assert digest(path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["raspios.img"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\xfd7zXZ\x00", "is compressed (xz); unpack it first: xz -d -k raspios.img"),
        (b"\x1f\x8b\x08", "is compressed (gzip); unpack it first: gunzip -k"),
        (b"PK\x03\x04", "is an archive (zip); unpack it first: unzip"),
        (b"\x28\xb5\x2f\xfd", "is compressed (zstd)"),
        (b"", "has 512 bytes, too few for a partition table"),
        (bytes(446) + b"\x00" * 64 + b"\x55\xaa", "has a partition table without partitions"),
        (b"#!/bin/sh\n", "has no partition table; give the image of a whole card"),
    ],
)
def test_a_file_that_is_no_image(made: Path, tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "raspios.img"
    path.write_bytes(head.ljust(512, b"\0") if head else b"\x55\xaa".rjust(512, b"\0")[:512])
    if not head:
        path.write_bytes(bytes(446) + bytes([0, 0, 0, 0, 0xEE]).ljust(64, b"\0") + b"\x55\xaa")
    assert said in refusal(Order(made / "KIT", path, tmp_path / "out.img"))
    assert not (tmp_path / "out.img").exists()


def test_an_image_that_is_cut_off(made: Path, tmp_path: Path) -> None:
    path = Image().write(tmp_path / "raspios.img")
    os.truncate(path, path.stat().st_size - (2 << 20))
    assert "is cut off: its partitions end at byte" in refusal(
        Order(made / "KIT", path, tmp_path / "out.img")
    )


def test_what_is_no_file(made: Path, tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refusal(Order(made / "KIT", tmp_path / "none", tmp_path / "out"))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, Path("."), tmp_path / "pipe", Path("/dev/zero")):
        assert "is no regular file" in refusal(Order(made / "KIT", path))
    device = tmp_path / "sdz"
    try:
        os.mknod(device, 0o60600, os.makedev(7, 99))
    except PermissionError:
        pytest.skip("making a device node needs root")
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "sdz"}, "nothing is made beside a device"
    said = refusal(Order(made / "KIT", Image().write(tmp_path / "raspios.img"), device))
    assert "sdz exists already" in said
    said = refusal(Order(made / "KIT", device))
    assert "sdz is a block device; give an image file, and write it to the card with rpi-imager" in said


def test_an_image_that_is_mounted(made: Path, tmp_path: Path) -> None:
    path = Image().write(tmp_path / "raspios.img")
    backing = tmp_path / "block" / "loop3" / "loop" / "backing_file"
    backing.parent.mkdir(parents=True)
    backing.write_text(f"{path}\n")
    given = Order(made / "KIT", path, tmp_path / "out.img", blocks=tmp_path / "block")
    assert "is in use by loop3; unmount it, then: losetup -d /dev/loop3" in refusal(given)
    backing.write_text(f"{tmp_path}/other.img\n")
    with Steps("emotion-edge") as steps:
        assert flash_image(given, steps)


def test_an_output_that_is_there(made: Path, tmp_path: Path) -> None:
    path = Image().write(tmp_path / "raspios.img")
    said = refusal(Order(made / "KIT", path, path))
    assert "is the image itself; name another file with -o, or change it with --in-place" in said
    (tmp_path / "out.img").write_text("mine")
    said = refusal(Order(made / "KIT", path, tmp_path / "out.img"))
    assert "out.img exists already; remove it, or name another file with -o" in said
    assert (tmp_path / "out.img").read_text() == "mine"


def test_a_second_kit_over_the_first(made: Path, tmp_path: Path) -> None:
    path = Image().write(tmp_path / "raspios.img")
    with Steps("emotion-edge") as steps:
        assert flash_image(Order(made / "KIT", path, in_place=True), steps) == path
    before = digest(path)
    said = refusal(Order(made / "KIT", path, in_place=True))
    assert (
        "carries a kit already (emotion-edge/ on the boot partition); start from an image that is fresh"
        in said
    )
    assert digest(path) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[ssh]\nauthorized_keys = "ssh-ed25519 AAAA me"\n', r"\[ssh\] needs a \[user\]"),
        ('[wifi]\nssid = "a"\npsk = "long enough"\n', r"wifi\.country is missing: the radio is off until"),
    ],
)
def test_secrets_that_a_raspberry_pi_cannot_take(made: Path, tmp_path: Path, text: str, said: str) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(text)
    with Steps("emotion-edge") as steps, pytest.raises(ConfigError, match=said):
        flash_image(Order(made / "KIT", tmp_path / "none", tmp_path / "out", secrets=secrets), steps)


def test_a_folder_that_is_read_only(made: Path, tmp_path: Path) -> None:
    """/proc takes no file from anybody, root included."""
    path = Image().write(tmp_path / "raspios.img")
    said = refusal(Order(made / "KIT", path, Path("/proc/out.img")))
    assert "/proc cannot be written (" in said


def test_neither_root_nor_a_device_is_needed() -> None:
    """As nobody, in a folder that nobody may write into."""
    if os.geteuid() != 0:
        pytest.skip("the other tests were run without root already")
    pi_files.script()  # what it imports may lie where nobody else looks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        given = Order(kit(folder), Image().write(folder / "raspios.img"), folder / "out.img")
        child = os.fork()
        if not child:
            code = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                flash_image(given, Steps("emotion-edge"))
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert (folder / "out.img").stat().st_uid == 65534

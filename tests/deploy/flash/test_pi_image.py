"""A kit into an image of Raspberry Pi OS: what is written, and that nothing else changes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pi_images
import pytest
from pi_images import Image, content, digest, names

from edge.deploy.flash import pi_files
from edge.deploy.flash.pi_image import Order, flash_image
from edge.deploy.flash.pi_imager import write_files
from edge.errors import ConfigError
from edge.system.steps import Steps

PLANTED = "pl4nted-s3cret"
SECRETS = f"""
[wifi]
ssid = "a \\"museum\\" \\U0001F5FF"
psk = "{PLANTED}-wifi"
country = "DE"
[credentials]
camera = "{PLANTED}-camera"
[ssh]
authorized_keys = ["ssh-ed25519 AAAA me@desk"]
[user]
name = "kiosk"
password_hash = "$6${PLANTED}$abcdefghijklmnop"
"""
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SSID = 'a "museum" \U0001f5ff'
pytestmark = pytest.mark.skipif(bool(pi_images.missing()), reason=f"not there: {pi_images.missing()}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit, secrets, and an image, to be left as they are."""
    folder = tmp_path_factory.mktemp("made")
    pi_images.kit(folder)
    Image().write(folder / "raspios.img")
    secrets = folder / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(SECRETS)
    return folder


@pytest.fixture
def steps() -> Iterator[Steps]:
    with Steps("emotion-edge") as steps:
        yield steps


def order(made: Path, folder: Path, **how: Any) -> Order:
    given = {"kit": made / "KIT", "image": made / "raspios.img", "out": folder / "out.img"}
    return Order(**{**given, **how})


def test_a_copy_holds_the_kit_and_the_image_is_as_it_was(made: Path, tmp_path: Path, steps: Steps) -> None:
    before, old = digest(made / "raspios.img"), names(made / "raspios.img")
    out = flash_image(order(made, tmp_path), steps)
    assert out == tmp_path / "out.img"
    assert digest(made / "raspios.img") == before
    own = [f"emotion-edge/kit/{name}" for name in (
        "SHA256SUMS", "board.sh", "emotion-edge-firstboot.service", "emotion-edge_1.0_arm64.deb", "firstboot",
    )]  # fmt: skip
    assert names(out) == sorted([*old, *own, "emotion-edge/setup.sh"])
    deb = made / "KIT" / "emotion-edge_1.0_arm64.deb"
    assert content(out, f"emotion-edge/kit/{deb.name}") == deb.read_bytes()
    start, end = pi_images.START * 512, (pi_images.START + pi_images.BOOT_SECTORS) * 512
    copy, image = out.read_bytes(), (made / "raspios.img").read_bytes()
    assert copy[:start] + copy[end:] == image[:start] + image[end:], "only the boot partition changed"
    assert out.stat().st_blocks * 512 < len(copy), "zeros take no space"
    assert [path.name for path in tmp_path.iterdir()] == ["out.img"]


def test_cloud_init_gets_user_keys_and_network_in_its_own_form(
    made: Path, tmp_path: Path, steps: Steps, capfd: pytest.CaptureFixture[str]
) -> None:
    yaml = pytest.importorskip("yaml")
    out = flash_image(order(made, tmp_path, secrets=made / "secrets.toml"), steps)
    assert out is not None
    given = yaml.safe_load(content(out, "user-data"))
    (user,) = given["users"]
    assert (user["name"], user["passwd"], user["lock_passwd"]) == (
        "kiosk",
        f"$6${PLANTED}$abcdefghijklmnop",
        False,
    )
    assert user["ssh_authorized_keys"] == ["ssh-ed25519 AAAA me@desk"]
    assert given["ssh_pwauth"] is False
    assert "emotion-edge/ssh" in names(out)
    ((_, _, command),) = given["bootcmd"]
    assert command.startswith("[ ! -e /boot/firmware/emotion-edge/setup.sh ] || ")
    wifi = yaml.safe_load(content(out, "network-config"))["network"]["wifis"]["wlan0"]
    assert wifi["access-points"] == {SSID: {"password": f"{PLANTED}-wifi"}}
    assert wifi["regulatory-domain"] == "DE"
    assert yaml.safe_load(content(out, "meta-data"))["instance-id"].startswith("emotion-edge-")
    kept = [name for name in names(out) if "/secrets/" in name]
    assert kept == [
        f"emotion-edge/secrets/{name}"
        for name in ("authorized_keys", "etc/emotion-edge/credentials/camera", "user")
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600, "a card's image with passwords is not for all"
    said = capfd.readouterr()
    assert PLANTED not in said.out + said.err
    assert "first settings by cloud-init (user-data on the boot partition)" in said.err


def test_an_image_without_user_data_gets_a_firstrun(made: Path, tmp_path: Path, steps: Steps) -> None:
    """Bookworm, and the first image of trixie."""
    old = Image()
    for name in ("user-data", "network-config", "meta-data"):
        del old.boot[name]
    image = old.write(tmp_path / "first.img")
    out = flash_image(order(made, tmp_path, image=image, secrets=made / "secrets.toml"), steps)
    assert out is not None
    cmdline = content(out, "cmdline.txt").decode()
    assert cmdline.startswith(pi_images.CMDLINE.strip() + " systemd.run=/boot/firmware/firstrun.sh ")
    assert cmdline.count("\n") == 1
    assert b"setup.sh user" in content(out, "firstrun.sh")
    assert content(out, "emotion-edge/country") == b"DE\n"
    assert content(out, "emotion-edge/secrets/user").startswith(b"kiosk:$6$")
    assert PLANTED.encode() not in content(out, "firstrun.sh")


def test_an_image_of_rpi_preseed_gets_one_toml(made: Path, tmp_path: Path, steps: Steps) -> None:
    new = Image()
    new.packages["rpi-preseed"] = "0.2"
    image = new.write(tmp_path / "new.img")
    out = flash_image(order(made, tmp_path, image=image, secrets=made / "secrets.toml"), steps)
    assert out is not None
    given = tomllib.loads(content(out, "rpi-preseed.toml").decode())
    assert given["config_version"] == "1.0"
    assert given["user"]["password_encrypted"] is True
    assert given["wlan"] == {
        "ssid": SSID, "password": f"{PLANTED}-wifi", "password_encrypted": False, "country": "DE"
    }  # fmt: skip
    assert given["ssh"]["authorized_keys"] == ["ssh-ed25519 AAAA me@desk"]
    assert given["runcmd"]["early"][0] == "sh /boot/firmware/emotion-edge/setup.sh enable"


def test_a_gpt_and_a_name_that_mtools_would_misread(made: Path, tmp_path: Path, steps: Steps) -> None:
    folder = tmp_path / "a?b@@9 c"
    folder.mkdir()
    image = Image(label="gpt").write(tmp_path / "x.img").rename(folder / "y?offset=1@@2.img")
    out = flash_image(order(made, folder, image=image, out=None), steps)
    assert out == folder / "y?offset=1@@2-emotion-edge.img"
    assert "emotion-edge/setup.sh" in names(out.rename(tmp_path / "out.img"))


def test_a_dry_run_tells_all_and_writes_nothing(
    made: Path, tmp_path: Path, steps: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(made / "raspios.img")
    assert flash_image(order(made, tmp_path, secrets=made / "secrets.toml", dry_run=True), steps) is None
    said = capsys.readouterr().out
    assert "-rwxr-xr-x root:root /boot/firmware/user-data\n" in said
    assert "-rwxr-xr-x root:root /boot/firmware/emotion-edge/kit/emotion-edge_1.0_arm64.deb\n" in said
    assert "$ mcopy -s -o -i boot.fat stage/emotion-edge " in said
    assert "$ debugfs -R 'cat /usr/lib/os-release'" in said
    assert PLANTED not in said
    assert not list(tmp_path.iterdir())
    assert digest(made / "raspios.img") == before


def test_the_files_alone_for_imager_2(made: Path, tmp_path: Path, steps: Steps) -> None:
    write_files(made / "KIT", tmp_path / "files", made / "secrets.toml", steps)
    found = {
        str(path.relative_to(tmp_path / "files"))
        for path in (tmp_path / "files").rglob("*")
        if path.is_file()
    }
    assert {"user-data", "network-config", "emotion-edge/setup.sh"} <= found
    deb = tmp_path / "files/emotion-edge/kit/emotion-edge_1.0_arm64.deb"
    assert deb.read_bytes() == (made / "KIT" / deb.name).read_bytes()
    assert not deb.is_symlink()
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
    with pytest.raises(ConfigError, match="files exists already; name a new folder with --files"):
        write_files(made / "KIT", tmp_path / "files", None, steps)


def test_imager_1_is_refused_with_the_reason(
    made: Path, tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "rpi-imager"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    for version, refused in (("1.9.6", True), ("2.0.11", False)):
        program.write_text(f"#!/bin/sh\necho 'rpi-imager version {version}'\n")
        program.chmod(0o755)
        if refused:
            with pytest.raises(
                ConfigError, match=r"is 1\.9\.6; version 1 customises nothing on Raspberry Pi OS 13"
            ):
                write_files(made / "KIT", tmp_path / version, None, steps)
        else:
            write_files(made / "KIT", tmp_path / version, None, steps)
        assert (tmp_path / version).exists() is not refused


def test_dash_takes_the_scripts_of_the_first_start() -> None:
    for text in (pi_files.script(), pi_files.FIRSTRUN_SCRIPT.encode()):
        assert subprocess.run(["dash", "-n"], input=text, capture_output=True).stderr == b""


def test_from_outside_it_ends_in_the_next_command(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "a kiosk.img"
    words = [
        "kit",
        "flash",
        made / "KIT",
        "--image",
        made / "raspios.img",
        "--secrets",
        made / "secrets.toml",
    ]
    command = [sys.executable, "-m", "edge", *map(str, words), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"next: rpi-imager --cli '{out}' /dev/CARD\n")
    assert PLANTED not in done.stdout + done.stderr
    again = subprocess.run(command, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith(f"emotion-edge: error: {out} exists already; remove it")
    both = subprocess.run([*command, "--in-place"], capture_output=True, text=True)
    assert (both.returncode, both.stderr.count("\n")) == (2, 1)

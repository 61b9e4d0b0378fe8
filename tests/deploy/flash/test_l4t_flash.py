"""A kit into a tree and out of it again, by the real dpkg: nothing else changes, and all of it goes."""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import l4t_kits
import l4t_trees
import pytest
from l4t_trees import R36, R38, R39, hashed

from edge.cli import kit_flash
from edge.deploy.flash import deb, l4t_flash, ledger, ledger_file
from edge.deploy.flash.host_checks import Host
from edge.deploy.flash.overlay import Overlay
from edge.deploy.flash.preflight import Order, Preflight
from edge.errors import ConfigError, EdgeError
from edge.system.steps import Steps

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a root file system is root's")


@pytest.fixture
def steps() -> Iterator[Steps]:
    with Steps("emotion-edge") as made:
        yield made


def plan_of(order: Order, kits: dict[str, Path]) -> Overlay:
    (path,) = kits[order.target].glob("*.deb")
    return Overlay(order.tree, path, deb.members(path), order.secrets, b"kit ssh-ed25519 AAAA\n", order.user)


def query(root: Path) -> str:
    words = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${db:Status-Abbrev}${Version}"]
    return subprocess.run([*words, "emotion-edge"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("release", l4t_trees.SERVED)
def test_what_was_there_before_comes_back_to_the_byte(
    release: str, order: Callable[..., Order], kits: dict[str, Path], steps: Steps
) -> None:
    made = order(release)
    Preflight(made).refuse()
    before = hashed(made.tree)
    times = {path: path.lstat().st_mtime_ns for path in (made.tree / "rootfs").rglob("*")}
    l4t_flash.flash(plan_of(made, kits), steps)
    root = made.tree / "rootfs"
    assert query(root) == "iU 1.2-1", "dpkg's own database knows it, and configures it at the first start"
    assert not (root / "touched-by-postinst").exists()
    assert ledger.Ledger(ledger.Writes(root)).state() == ledger_file.DONE
    assert l4t_flash.unflash(made.tree, steps) == "emotion-edge_1.2-1_arm64.deb"
    assert hashed(made.tree) == before
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == times
    with pytest.raises(ConfigError, match=r"holds no kit of `kit flash`"):
        l4t_flash.unflash(made.tree, steps)


def test_a_board_finds_its_user_its_network_and_its_secrets(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps
) -> None:
    made = order(R36)
    l4t_flash.flash(plan_of(made, kits), steps)
    root = made.tree / "rootfs"
    rows = dict(line.split(":", 1) for line in (root / "etc/shadow").read_text().splitlines())
    assert rows["kiosk"].startswith("$y$j9T$abcdefghijklmnop:")
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert not [path for path in (root / "etc").glob("shadow*") if "$1$" in path.read_text()], "no MD5 stays"
    assert not (root / "etc/systemd/system/default.target").is_symlink(), "no wizard waits"
    keys = root / "home/kiosk/.ssh/authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAA me@laptop\n"
    assert [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in (keys, keys.parent)] == [
        (1000, 0o600),
        (1000, 0o700),
    ]
    secret = root / "etc/emotion-edge/credentials/camera"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("of the camera", 0o600)
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    drop_in = (root / "etc/systemd/system/emotion-edge.service.d/credentials.conf").read_text()
    assert drop_in == "[Service]\nLoadCredential=camera:/etc/emotion-edge/credentials/camera\n"
    wifi = root / "etc/NetworkManager/system-connections/emotion-edge-wifi.nmconnection"
    assert "psk=a long password" in wifi.read_text()
    assert wifi.stat().st_mode & 0o777 == 0o600
    assert (root / ledger_file.FOLDER).stat().st_mode & 0o777 == 0o700, "hashes of before are for root alone"


def test_a_second_flash_replaces_the_first(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps, quick_path: Path
) -> None:
    made = order(R39)
    before = hashed(made.tree)
    l4t_flash.flash(plan_of(made, kits), steps)
    once = {path: path.read_bytes() for path in (made.tree / "rootfs/etc").rglob("*") if path.is_file()}
    Preflight(made).refuse()
    l4t_flash.flash(plan_of(made, kits), steps)
    assert {path: path.read_bytes() for path in once} == once
    newer = {made.target: l4t_kits.make(quick_path, made.target, "1.3-1")}
    l4t_flash.flash(plan_of(made, newer), steps)
    assert query(made.tree / "rootfs") == "iU 1.3-1"
    l4t_flash.unflash(made.tree, steps)
    assert hashed(made.tree) == before


def test_what_somebody_changed_since_is_not_lost(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps
) -> None:
    made = order(R38)
    before = hashed(made.tree)
    l4t_flash.flash(plan_of(made, kits), steps)
    root = made.tree / "rootfs"
    (root / "etc/user_release_version").write_text("as flash.sh writes\n")
    (root / "etc/hostname").write_text("door-7\n")
    with pytest.raises(EdgeError, match=r"etc/hostname has changed since the flash"):
        l4t_flash.unflash(made.tree, steps)
    with pytest.raises(EdgeError, match=r"etc/hostname has changed since the flash"):
        l4t_flash.flash(plan_of(made, kits), steps)
    assert (root / "etc/hostname").read_text() == "door-7\n"
    (root / "etc/hostname").unlink()  # as the message says
    (root / "home/kiosk/notes").write_text("mine\n")
    with pytest.raises(EdgeError, match="home/kiosk has changed since"):
        l4t_flash.unflash(made.tree, steps)
    (root / "home/kiosk/notes").unlink()
    l4t_flash.unflash(made.tree, steps)
    (root / "etc/user_release_version").unlink()
    assert hashed(made.tree) == before


def test_a_root_that_a_board_has_started_from_is_not_taken_back(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps
) -> None:
    """Such as a board's own, mounted: what it has made since is in no list."""
    made = order(R36)
    l4t_flash.flash(plan_of(made, kits), steps)
    root = made.tree / "rootfs"
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("ok unpacked", "ok installed"))
    before = hashed(made.tree)
    for again in (
        lambda: l4t_flash.unflash(made.tree, steps),
        lambda: l4t_flash.flash(plan_of(made, kits), steps),
    ):
        with pytest.raises(EdgeError, match=r"a board has started from it.*apt purge emotion-edge"):
            again()
    assert hashed(made.tree) == before


def test_a_link_out_of_the_root_is_not_followed(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps, quick_path: Path
) -> None:
    made = order(R36)
    (quick_path / "outside").mkdir()
    (made.tree / "rootfs/etc/NetworkManager").symlink_to(quick_path / "outside")
    before = hashed(made.tree)
    with pytest.raises(EdgeError, match=r"outside the root; replace that link \(the tree is as it was\)"):
        l4t_flash.flash(plan_of(made, kits), steps)
    assert hashed(made.tree) == before
    assert not list((quick_path / "outside").iterdir())


def test_a_user_who_is_there_keeps_what_is_his(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps
) -> None:
    made = order(R36)
    subprocess.run(
        [made.tree / "tools/l4t_create_default_user.sh", "-u", "kiosk", "-p", "x", "--accept-license"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (made.tree / "rootfs/home/kiosk/notes").write_text("mine\n")
    (made.tree / "tools/l4t_create_default_user.sh").write_text("#!/bin/sh\nexit 7\n")  # is not asked again
    before = hashed(made.tree)
    l4t_flash.flash(plan_of(made, kits), steps)
    assert "kiosk:$y$j9T$" in (made.tree / "rootfs/etc/shadow").read_text()
    assert (made.tree / "rootfs/home/kiosk/notes").read_text() == "mine\n"
    l4t_flash.unflash(made.tree, steps)
    assert hashed(made.tree) == before


def test_a_script_that_makes_no_user_leaves_the_tree_as_it_was(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps
) -> None:
    made = order(R36)
    script = made.tree / "tools/l4t_create_default_user.sh"
    half = 'echo half >>"$(dirname "$0")/../rootfs/etc/passwd"'
    script.write_text(f"#!/bin/sh\n{half}\nexit 3\n")
    before = hashed(made.tree)
    with pytest.raises(EdgeError, match=r"did not make the user kiosk \(exit code 3\).*as it was\)"):
        l4t_flash.flash(plan_of(made, kits), steps)
    assert hashed(made.tree) == before


def command(host: Host, *words: object) -> None:
    parser = argparse.ArgumentParser()
    kit_flash.add_options(parser)
    kit_flash.run(parser.parse_args(list(map(str, words))), host)


def test_the_command_prints_what_it_found_and_the_one_call(
    order: Callable[..., Order], kits: dict[str, Path], secrets_file: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = order(R36)
    words = [kits[made.target], "--l4t", made.tree, "--board", made.board, "--storage", "nvme"]
    words += ["--secrets", secrets_file, "--accept-nvidia-license"]
    before, start = hashed(made.tree), time.monotonic()
    command(made.host, *words, "--dry-run")
    dry = capfd.readouterr().out
    assert hashed(made.tree) == before
    assert time.monotonic() - start < 3
    for line in (
        "0755 root:root /usr/lib/emotion-edge/bin/",
        "0600 root:root /etc/emotion-edge/credentials/camera",
        "$ dpkg --root=",
        "-u kiosk -p THROWAWAY --accept-license",
    ):
        assert line in dry
    command(made.host, *words)
    said = capfd.readouterr()
    assert f"cd {made.tree}\n  sudo ADDITIONAL_DTB_OVERLAY_OPT=BootOrderNvme.dtbo ./tools/" in said.out
    for secret in ("of the camera", "a long password", "$y$j9T", "password kiosk"):
        assert secret not in dry + said.out + said.err
    assert "never run" not in said.err, "the flasher is not called"


def test_the_command_refuses_in_one_line_and_lists_all_faults_before(
    order: Callable[..., Order], kits: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    made = order(R39)
    l4t_trees.usb(made.host.devices, "7523", "7423")
    before = hashed(made.tree)
    with pytest.raises(ConfigError, match=r"^3 faults \(kit, first start, USB\), nothing was written; mend"):
        command(made.host, kits["jetson-jp6"], "--l4t", made.tree, "--board", made.board, "--storage", "nvme")
    out = capfd.readouterr().out
    assert "make one with --target jetson-jp7" in out.replace("\n" + " " * 27, " ")
    assert "2 boards are in recovery mode" in out
    assert hashed(made.tree) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--l4t", "t", "--storage", "nvme"], "--board is missing"),
        (["--l4t", "t", "--board", "b"], "--storage is missing"),
        (["--l4t", "t", "--in-place"], "--in-place does not go with --l4t"),
        (["--image", "i", "--board", "b"], "--board does not go with --image"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], said: str, host: Host) -> None:
    with pytest.raises(ConfigError, match=said):
        command(host, "KIT", *words)

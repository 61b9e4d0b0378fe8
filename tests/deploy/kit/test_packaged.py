"""What the package holds beside its environment: systemd and dash take it, whatever machine makes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.config_file import load
from edge.deploy.kit import maintainer, packaged
from edge.deploy.kit.packaged import PackagedFile
from edge.deploy.units import FIRST_BOOT, MARKER, Board

ANALYZE = shutil.which("systemd-analyze")
JETSON, OTHER = packaged.target_board(jetson=True), packaged.target_board(jetson=False)
ADDRESSES = ["/dev/video0", "csi://0", "picam://0", "rtsp://10.0.0.7/1", "rtsp://camera.local/1"]


def made(address: str = "/dev/video0", board: Board = OTHER, *words: str) -> dict[str, PackagedFile]:
    config = load(None, [f"source.address={address}", *words])
    return {file.path: file for file in packaged.files(config, board)}


def unit(files: dict[str, PackagedFile], name: str) -> str:
    return files[f"usr/lib/systemd/system/{name}"].data.decode()


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("board", [JETSON, OTHER])
@pytest.mark.parametrize("address", ADDRESSES)
def test_systemd_takes_every_unit_without_a_word(address: str, board: Board, tmp_path: Path) -> None:
    paths = []
    for file in made(address, board).values():
        if "/systemd/system/" in file.path:
            path = tmp_path / file.path.removeprefix("usr/lib/systemd/system/")
            path.parent.mkdir(exist_ok=True)
            # The interpreter and the script of the board are not here.
            text = file.data.decode().replace(packaged.PROGRAM[0], "/usr/bin/env")
            path.write_text(text)
            paths += [path] if path.suffix != ".conf" else []
    names = [str(path).replace("@.", "@door.") for path in paths]
    assert any("@door.service" in name for name in names)
    done = subprocess.run([str(ANALYZE), "verify", *names], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for path in paths:
        if path.suffix == ".service" and path.name not in (FIRST_BOOT, packaged.STATUS):
            words = [str(ANALYZE), "security", "--offline=true", "--threshold=15", "--no-pager", str(path)]
            rated = subprocess.run(words, capture_output=True, text=True)
            assert rated.returncode == 0, rated.stdout


def test_a_further_camera_shares_no_folder_and_no_user_with_the_first() -> None:
    files = made()
    main, other = unit(files, "emotion-edge.service"), unit(files, "emotion-edge@.service")
    for key in ("User", "StateDirectory", "CacheDirectory", "RuntimeDirectory", "SyslogIdentifier"):
        assert f"\n{key}=emotion-edge\n" in main
        assert f"\n{key}=emotion-edge-%i\n" in other
    assert "run -c /etc/emotion-edge.toml\n" in main
    assert "run -c /etc/emotion-edge/%i.toml\n" in other
    assert "IPAddressAllow=localhost" in other, "its health port"
    assert "PrivateNetwork=yes" in main
    assert "OnFailure=emotion-edge-retry@%i.timer" in other
    assert "Unit=emotion-edge@%i.service" in unit(files, "emotion-edge-retry@.timer")


def test_the_address_of_the_first_network_camera_does_not_bind_the_second() -> None:
    files = made("rtsp://10.0.0.7/1")
    assert "IPAddressAllow=10.0.0.7" in unit(files, "emotion-edge.service")
    assert "IPAddressDeny" not in unit(files, "emotion-edge@.service")


def test_an_engine_is_built_beside_the_service_and_not_before_it() -> None:
    engine = unit(made(board=JETSON), "emotion-edge-engine.service")
    for line in (
        "Type=exec",
        "Nice=15",
        "CPUWeight=10",
        "IOSchedulingClass=idle",
        "StandardOutput=journal+console",
    ):
        assert f"\n{line}\n" in engine
    assert not any("engine" in path for path in made(board=OTHER))


def test_the_console_hears_at_each_start_how_the_service_does() -> None:
    status = unit(made(), packaged.STATUS)
    assert "\nAfter=emotion-edge.service\n" in status
    assert "exec /usr/bin/emotion-edge status" in status
    assert "\nStandardOutput=journal+console\n" in status
    assert f"Wants={FIRST_BOOT} {packaged.STATUS}\n" in unit(made(), "multi-user.target.d/emotion-edge.conf")


def test_a_reboot_is_enabled_only_where_it_is_allowed() -> None:
    for allowed in (False, True):
        config = load(None, ["source.address=0", f"recovery.reboot={str(allowed).lower()}"])
        assert ("emotion-edge-reboot.path" in packaged.enabled(config, OTHER)) is allowed
        assert "emotion-edge.service" in packaged.enabled(config, OTHER)
        assert "emotion-edge-retry.timer" not in packaged.enabled(config, OTHER)


def test_no_network_is_waited_for_and_no_unit_says_that_the_command_wrote_it() -> None:
    for file in made("rtsp://10.0.0.7/1", JETSON).values():
        assert b"network-online" not in file.data
        assert b"network.target" not in file.data
        assert MARKER.encode() not in file.data


def test_what_the_package_holds_depends_on_its_arguments_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(board=JETSON)
    monkeypatch.setattr("edge.deploy.units.l4t", lambda root: pytest.fail("looked at this machine"))
    monkeypatch.setattr("edge.engines.tensorrt.hot_swap.unusable", lambda: pytest.fail("looked at the GPU"))
    assert made(board=JETSON) == first
    assert list(first) == sorted(first)


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_dash_takes_the_maintainer_scripts(name: str) -> None:
    text = maintainer.scripts(packaged.enabled(load(None, ["source.address=0"]), JETSON))[name]
    assert "{" not in text.replace("allowed() {", "").replace("${link##*/}", "")
    assert subprocess.run(["dash", "-n"], input=text, text=True, capture_output=True).stderr == ""


def test_dash_takes_the_scripts_that_ship() -> None:
    scripts = [file for file in made().values() if file.data.startswith(b"#!/bin/sh")]
    assert {file.mode for file in scripts} == {0o755}
    assert len(scripts) == 3
    for file in scripts:
        assert subprocess.run(["dash", "-n"], input=file.data, capture_output=True).stderr == b"", file.path

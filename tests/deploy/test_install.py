"""The systemd units: what they say for each camera, and how they come and go."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cli.service import add_options, run
from edge.config import Config
from edge.config_file import load
from edge.deploy import install, permissions, units
from edge.errors import ConfigError, EdgeError

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
SOURCES = {
    "0": "PrivateNetwork=yes",
    "/dev/v4l/by-id/usb-cam-index0": "PrivateNetwork=yes",
    "csi://0": "PrivateNetwork=yes",
    "picam://0": "AF_UNIX AF_NETLINK",
    "rtsp://camera.local/stream": "AF_UNIX AF_INET AF_INET6",
    "rtsp://[fe80::1]:554/1": "IPAddressAllow=fe80::1",
    "rtsp://192.168.1.9:554/1": "IPAddressAllow=192.168.1.9",
    "mjpeg:///dev/video0": "PrivateNetwork=yes",
}
JETSON = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n"


def command(*words: object) -> None:
    """``emotion-edge service WORDS``."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    run(parser.parse_args(list(map(str, words))))


def image(folder: Path, *, jetson: bool = False) -> Path:
    """A root folder with as much of a board as the units depend on."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/group").write_text("root:x:0:\nvideo:x:44:\n" + ("render:x:104:\n" if jetson else ""))
    if jetson:
        (folder / "etc/nv_tegra_release").write_text(JETSON)
    return folder


def installed(root: Path) -> dict[str, str]:
    """Every file and link below ``root``/etc/systemd with what it holds."""
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in sorted((root / "etc/systemd").rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def judge(folder: Path, texts: dict[str, str]) -> None:
    """Fail unless systemd takes the units without a word and calls them safe."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name in texts:
        done = subprocess.run([str(ANALYZE), "verify", folder / name], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), texts[name]
    for name in (units.SERVICE, *({units.ENGINE} & set(texts))):
        rated = [str(ANALYZE), "security", "--offline=true", "--threshold=15", "--no-pager", folder / name]
        done = subprocess.run(rated, capture_output=True, text=True)
        print(name, done.stdout.splitlines()[-1])
        assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if "✓" not in line)


@needs_systemd
@pytest.mark.parametrize("jetson", [False, True])
@pytest.mark.parametrize("address", SOURCES)
def test_systemd_takes_the_units_for_every_camera(tmp_path: Path, address: str, jetson: bool) -> None:
    root = image(tmp_path / "root", jetson=jetson)
    command("install", address, "--root", root, "--health", "9100", "--set", "recovery.reboot=true")
    judge(tmp_path / "units", {Path(k).name: v for k, v in installed(root).items() if "wants" not in k})


@pytest.mark.parametrize("address", SOURCES)
def test_only_what_the_camera_needs_is_open(tmp_path: Path, capsys, address: str) -> None:
    command("print-unit", address, "--root", image(tmp_path / "root"))
    text = capsys.readouterr().out
    assert SOURCES[address] in text
    assert ("IPAddressDeny=any" in text) is not ("camera.local" in address)
    assert "MemoryDenyWriteExecute=yes" in text
    assert "SupplementaryGroups=video\n" in text, "render is not on this board"
    assert ("argus" in text) is address.startswith("csi")
    assert "@" not in text.replace(address, "").replace("@system-service", "").replace(
        "@privileged", ""
    ).replace("@resources", "")


def test_an_address_that_run_would_refuse(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    with pytest.raises(ConfigError, match="unknown"):
        command("install", "gopher://cam", "--root", root)
    for kind in ("annotate=/srv/out.mp4", "trajectory=/srv/out.png"):
        with pytest.raises(ConfigError, match="a service runs on"):
            command("install", "0", "--root", root, "--set", f"output.{kind}")
    assert not (tmp_path / "root/etc/systemd").exists()


def test_a_health_port_opens_loopback_alone(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root")
    command("print-unit", "0", "--root", root, "--health", "9100")
    text = capsys.readouterr().out
    assert "IPAddressAllow=localhost" in text
    assert "IPAddressDeny=any" in text
    assert "PrivateNetwork" not in text
    assert "run 0 --health 9100" in text
    command("print-unit", "0", "--root", root, "--health", "/run/emotion-edge/health.json")
    assert "PrivateNetwork=yes" in capsys.readouterr().out


def test_no_network_is_waited_for(tmp_path: Path, capsys) -> None:
    command("print-unit", "rtsp://10.0.0.1/1", "--root", image(tmp_path / "root"))
    assert ".target" not in capsys.readouterr().out.replace("multi-user.target", "")


def test_a_jetson_gets_its_engine_and_its_nodes(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root", jetson=True)
    command("install", "csi://0", "--root", root, "--set", "engine.faces=3", "--cpu-quota", "90%")
    texts = installed(root)
    engine = texts["etc/systemd/system/emotion-edge-engine.service"]
    assert "engine --precision auto --faces 3\n" in engine
    assert "User=emotion-edge\n" in engine, "the engine must belong to the user who reads it"
    main = texts["etc/systemd/system/emotion-edge.service"]
    for words in ("char-nvgpu*", "MemoryDenyWriteExecute=no", "CPUQuota=90%", "Groups=video render"):
        assert words in main
    command("install", "csi://0", "--root", root, "--set", "bundle.precision=int8-cpu")
    assert not any("engine" in path for path in installed(root)), "not wanted any more"


def test_a_reboot_is_possible_only_where_it_is_allowed(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    command("install", "0", "--root", root, "--set", "recovery.reboot=true")
    assert len([path for path in installed(root) if "emotion-edge-reboot.path" in path]) == 2
    command("install", "0", "--root", root)
    assert not [path for path in installed(root) if "reboot" in path]


def test_install_twice_changes_nothing_and_uninstall_leaves_nothing(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root")
    command("install", "0", "--root", root)
    first = installed(root)
    assert first["etc/systemd/system/multi-user.target.wants/emotion-edge.service"] == (
        "/etc/systemd/system/emotion-edge.service"
    )
    assert len(first) == 3
    capsys.readouterr()
    command("install", "0", "--root", root)
    assert installed(root) == first
    assert "wrote" not in capsys.readouterr().out
    neighbor = root / "etc/systemd/system/other.service"
    neighbor.write_text("[Service]\n")
    command("uninstall", "--root", root)
    assert list(installed(root)) == ["etc/systemd/system/other.service"]
    command("uninstall", "--root", root)
    assert capsys.readouterr().out.splitlines()[-1] == "nothing is installed"


def test_a_unit_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True)
    (folder / "emotion-edge.service").write_text("[Service]\nExecStart=/bin/true\n")
    for action in (["install", "0"], ["uninstall"]):
        with pytest.raises(EdgeError, match="not written by this program"):
            command(*action, "--root", root)
    assert len(installed(root)) == 1


def test_what_stands_in_the_way_of_a_link_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(("", "emotion-edge.service")):
        root = image(tmp_path / f"root{number}")
        wants = root / "etc/systemd/system/multi-user.target.wants"
        (wants / name).parent.mkdir(parents=True)
        (wants / name).write_text("in the way")
        with pytest.raises(EdgeError, match=r"cannot create the link .*; move away"):
            command("install", "0", "--root", root)
        assert (wants / name).read_text() == "in the way"
        command("uninstall", "--root", root)
        assert list(installed(root).values()) == ["in the way"]
    root = image(tmp_path / "root2")
    (root / "etc/systemd/system/emotion-edge.service").mkdir(parents=True)
    with pytest.raises(EdgeError, match="not written by this program"):
        command("install", "0", "--root", root)


def test_uninstall_removes_a_link_whose_unit_is_gone(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root")
    command("install", "0", "--root", root)
    for path in (root / "etc/systemd/system").glob("emotion-edge*"):
        path.unlink()
    assert len(installed(root)) == 1
    command("uninstall", "--root", root)
    assert installed(root) == {}
    assert "removed" in capsys.readouterr().out


def test_without_root_it_says_so(monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for action in (["install", "0"], ["uninstall"]):
        with pytest.raises(EdgeError, match=f"sudo emotion-edge service {action[0]}"):
            command(*action)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        command("install", "0", "--root", tmp_path / "none")
    root = image(tmp_path / "root")
    (root / "etc/systemd").write_text("in the way")
    with pytest.raises(EdgeError, match="cannot create"):
        command("install", "0", "--root", root)


def test_the_configuration_is_read_in_the_image_and_named_as_the_board_sees_it(
    tmp_path: Path, capsys
) -> None:
    root = image(tmp_path / "root")
    (root / "etc/emotion-edge.toml").write_text('[source]\naddress = "rtsp://u:secret@10.0.0.7/1"\n')
    command("print-unit", "-c", "/etc/emotion-edge.toml", "--root", root, "--set", "tracker.confirm=3")
    text = capsys.readouterr().out
    assert "run -c /etc/emotion-edge.toml --set tracker.confirm=3\n" in text
    assert "IPAddressAllow=10.0.0.7" in text
    assert "secret" not in text
    command("install", "-c", "/etc/emotion-edge.toml", "--root", root)
    assert "chmod 640" in capsys.readouterr().out, "the file is open to all"
    with pytest.raises(ConfigError, match=r"none\.toml"):
        command("print-unit", "-c", "/etc/none.toml", "--root", root)


def test_a_password_never_stands_in_the_unit(tmp_path: Path) -> None:
    for words in (
        ["rtsp://u:secret@cam/1"],
        ["rtsp://u:se/cret@10.0.0.5/x"],
        ["rtsp://10.0.0.5/x?user=a&password=secret"],
        ["--set", "source.address=rtsp://u:secret@cam/1"],
        ["--set", 'source.address="rtsp://10.0.0.5/x?user=a&pwd=secret"'],
        ["rtsp://10.0.0.5/x", "--set", "source.address=rtsp://u:secret@cam/1"],  # overridden, but written
    ):
        with pytest.raises(ConfigError, match="-c") as refused:
            command("print-unit", *words)
        assert "secret" not in str(refused.value)
        assert "cret" not in str(refused.value)


def test_a_file_source_is_noted(tmp_path: Path, capsys) -> None:
    command("install", "demo", "--root", image(tmp_path / "root"))
    assert "ends; the service then starts over" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["²", "70000"])
def test_a_health_port_that_is_none(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 to 65535"):
        command("install", "0", "--root", image(tmp_path / "root"), "--health", value)
    assert not (tmp_path / "root/etc/systemd").exists()


@pytest.mark.parametrize("value", ["0", "-5", "much", "150%%"])
def test_a_cpu_quota_that_makes_no_sense(value: str, capsys) -> None:
    with pytest.raises(SystemExit):
        command("print-unit", "0", "--cpu-quota", value)
    assert "is not a share of a core" in capsys.readouterr().err


def test_what_the_service_cannot_read_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(permissions, "_HIDDEN", ("/home",))
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 1:
            folder.chmod(0o755)
    file = tmp_path / "config.toml"
    file.touch(0o644)
    permissions.check(Config(), file)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"config.toml has mode 600\); move it"):
        permissions.check(Config(), file)
    bundle = load(None, [f"bundle.path={tmp_path}"])
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="has mode 700"):
        permissions.check(bundle, None)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(permissions, "_HIDDEN", (str(tmp_path),))
    with pytest.raises(ConfigError, match="is hidden from services"):
        permissions.check(bundle, None)


def test_status_without_an_installation(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(install, "UNITS", str(tmp_path))
    install.status()
    assert "is not installed" in capsys.readouterr().out


@needs_systemd
@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)))
def test_any_argument_reaches_the_program_as_it_is(words: list[str]) -> None:
    """systemd itself splits and unescapes the line here; % and $ are checked by hand."""
    line = units._line(["/bin/echo", *words])
    assert "\n" not in line
    assert line.count("%") == 2 * sum(word.count("%") for word in words)
    assert line.count("$") == 2 * sum(word.count("$") for word in words)
    plain = [word for word in words if word.isascii() and word.isprintable()]
    back = shlex.split(units._line(plain).replace("%%", "%").replace("$$", "$"))
    assert back == plain

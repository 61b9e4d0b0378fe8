"""What the systemd units say for each camera."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from board_image import command, image, installed
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.deploy import units
from edge.errors import ConfigError

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


def test_no_unit_sends_telemetry_or_leaves_bytecode(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root", jetson=True)
    command("install", "csi://0", "--root", root)
    texts = installed(root)
    for name in (units.SERVICE, units.ENGINE):
        text = texts[f"etc/systemd/system/{name}"]
        assert "ORT_DISABLE_TELEMETRY=1" in text
        assert "PYTHONDONTWRITEBYTECODE=1" in text


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

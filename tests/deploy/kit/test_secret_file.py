"""Secrets become files that root alone reads, and no message repeats one."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.deploy.kit import secret_file
from edge.errors import ConfigError

PLANTED = "pl4nted-s3cret"
WHOLE = f"""
[wifi]
ssid = "museum"
psk = "{PLANTED}"
[credentials]
camera = "{PLANTED}"
[ssh]
authorized_keys = ["ssh-ed25519 AAAA me@desk"]
[user]
name = "kiosk"
password_hash = "$6$salt$abcdefghijklmnop"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.toml"
    path.touch(0o600)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_every_secret_gets_its_file(tmp_path: Path) -> None:
    files = {file.path: file for file in secret_file.read(written(tmp_path, WHOLE))}
    assert {file.mode for file in files.values()} == {0o600}
    assert files["etc/emotion-edge/credentials/camera"].data == PLANTED.encode()
    assert files["user"].data == b"kiosk:$6$salt$abcdefghijklmnop\n"
    assert files["authorized_keys"].data == b"ssh-ed25519 AAAA me@desk\n"
    keyfile = configparser.RawConfigParser()
    (name,) = (name for name in files if name.endswith(".nmconnection"))
    keyfile.read_string(files[name].data.decode())
    assert keyfile["wifi"]["ssid"] == "museum"
    assert keyfile["wifi-security"]["psk"] == PLANTED


def test_the_country_of_the_radio_may_be_left_out_but_not_be_anything(tmp_path: Path) -> None:
    text = '[wifi]\nssid = "museum"\npsk = "longenough"\n'
    assert "country" not in secret_file.tables(written(tmp_path, text))["wifi"]
    assert secret_file.tables(written(tmp_path, text + 'country = "DE"\n'))["wifi"]["country"] == "DE"
    with pytest.raises(ConfigError, match=r"wifi.country is no country; write two letters"):
        secret_file.tables(written(tmp_path, text + 'country = "Germany"\n'))


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o601])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}, .* chmod 600"):
        secret_file.read(written(tmp_path, WHOLE, mode))
    assert secret_file.read(written(tmp_path, WHOLE, 0o400))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'[wify]\nssid = "{PLANTED}"', "'wify' is unknown"),
        (f'wifi = "{PLANTED}"', "'wifi' is unknown, expected"),
        (f'[wifi]\nssid = "a"\nkey = "{PLANTED}"', "wifi.key is unknown"),
        (f'[wifi]\nssid = "a"\npsk = {len(PLANTED)}', "wifi.psk is not a text"),
        (f'[wifi]\npsk = "{PLANTED}"', "wifi.ssid is missing"),
        (f'[wifi]\nssid = "{PLANTED * 3}"\npsk = "{PLANTED}"', "more than 32 bytes"),
        ('[wifi]\nssid = "a"\npsk = "short"', "5 characters"),
        (f'[credentials]\n"../a" = "{PLANTED}"', "small letters"),
        (f'[credentials]\ncamera = ["{PLANTED}"]', "is not a text"),
        (f'[user]\nname = "a"\npassword_hash = "{PLANTED}"', "is no hash"),
        (f'[user]\nname = "root:x {PLANTED}"\npassword_hash = "!"', "no name of a user"),
        (f'[ssh]\nauthorized_keys = "{PLANTED}"', "no public key"),
        (f'[wifi\npsk = "{PLANTED}"', r"not TOML \(at line 1"),
        (f'[wifi]\npsk = "{PLANTED}', "not TOML"),
    ],
)
def test_a_fault_is_named_without_the_secret(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        secret_file.read(written(tmp_path, text))
    assert PLANTED not in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63))
def test_any_key_of_a_network_survives_its_file(psk: str) -> None:
    """GLib's rules: a backslash begins an escape, and blanks at the start are lost."""
    line = secret_file._keyfile(Path("s"), "a", psk).split("psk=")[1].split("\n")[0]
    assert not line.startswith(" ")
    back, at = "", 0
    while at < len(line):
        if line[at] == "\\":
            back, at = back + {"\\": "\\", "s": " "}[line[at + 1]], at + 2
        else:
            back, at = back + line[at], at + 1
    assert back == psk


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        tmp_path.chmod(0o700)
        with pytest.raises(ConfigError):
            secret_file.read(path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700

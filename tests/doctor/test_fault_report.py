"""A report of a fault holds what helps, and no secret, picture or estimate."""

from __future__ import annotations

import gzip
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest
from board_trees import PC, plant
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor import examine, fault_report, hiding
from edge.doctor.examination import read_machine
from edge.doctor.machine import Machine
from edge.errors import ConfigError

SECRETS = {
    "camera": "Winter!Sonne", "token": "tok-4711-xyz", "mqtt": "hush-mqtt-9", "wifi": "korrekt pferd 1",
    "file": "s3cr3tFile", "drop": "inTheUnit", "query": "qu3ryV4lue", "basic": "dXNlcjpwYXNz",
}  # fmt: skip
_TOML = f"""\
[source]
address = "rtsp://admin7:{SECRETS["camera"]}@192.0.2.1/live?auth={SECRETS["query"]}"
[output]
jsonl = "x.jsonl"
[output.mqtt]
host = "broker.example"
password = "{SECRETS["mqtt"]}"
url = "mqtt://{SECRETS["token"]}@broker"
"""
_JOURNAL = f"""\
2026-11-30T04:00:00+00:00 emotion-edge[12]: rtsp://admin7:{SECRETS["camera"]}@192.0.2.1/live gave no frame
2026-11-30T04:00:01+00:00 emotion-edge[12]: {{"track_id": 3, "label": "happiness", "probabilities": {{}}}}
2026-11-30T04:00:02+00:00 emotion-edge[12]: Authorization: Basic {SECRETS["basic"]}
2026-11-30T04:00:02+00:00 emotion-edge[12]: the file says {SECRETS["file"]} and {SECRETS["wifi"]}
2026-11-30T04:00:03+00:00 emotion-edge[12]: 120 frames in 4.0 s
"""
FILES = {
    "etc/emotion-edge.toml": _TOML,
    "etc/emotion-edge/credentials/camera": SECRETS["file"] + "\n",
    "etc/NetworkManager/system-connections/home.nmconnection": f"[wifi-security]\npsk={SECRETS['wifi']}\n",
    "etc/systemd/system/emotion-edge.service.d/own.conf":
        f"[Service]\nEnvironment=MQTT_PASSWORD={SECRETS['drop']}\nSetCredential=camera:{SECRETS['drop']}\n",
    "run/emotion-edge/health.json": '{"up_s": 90, "frames": 5, "fps": 29.9}',
    "var/lib/emotion-edge/estimates.jsonl": '{"label": "happiness"}\n',
    "var/lib/emotion-edge/clip.png": b"\x89PNG\r\n\x1a\n" + bytes(500),
}  # fmt: skip


class Spoken(Machine):
    """A tree whose journal says what a live one's might."""

    def said(self, *command: str, timeout_s: float = 5.0) -> str | None:
        return _JOURNAL if command[0] == "journalctl" else None


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, str]:
    root = plant(tmp_path / "root", PC, FILES)
    known = read_machine(root)
    assert known.fault is None
    path = tmp_path / "report.tar.gz"
    fault_report.write(path, examine(root), Spoken(root, known.config, known.settings))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert all(member.isfile() and member.mode == 0o600 for member in members)
        return {Path(m.name).name: archive.extractfile(m).read().decode() for m in members}  # type: ignore[union-attr]


def test_no_secret_is_in_it(parts: dict[str, str]) -> None:
    for name, text in parts.items():
        for kind, secret in SECRETS.items():
            assert secret not in text, f"{kind} in {name}"
        assert "admin7" not in text


def test_no_picture_and_no_estimate_is_in_it(parts: dict[str, str]) -> None:
    for name, text in parts.items():
        assert "PNG" not in text, name
        assert "happiness" not in text, name


def test_what_helps_is_in_it(parts: dict[str, str]) -> None:
    assert set(parts) == {
        *("README.txt", "findings.json", "settings.json", "versions.json", "health.json"),
        *("units.txt", "journal.txt"),
    }
    assert all(name in parts["README.txt"] for name in parts if name != "README.txt")
    assert json.loads(parts["findings.json"])["schema"] == "emotion-edge-doctor/1"
    settings = json.loads(parts["settings.json"])
    assert settings["source"]["address"] == "rtsp://***@192.0.2.1/live?auth=***"
    assert settings["output"]["sinks"]["mqtt"] == {
        "host": "broker.example",
        "password": "***",
        "url": "mqtt://***@broker",
    }
    assert json.loads(parts["versions.json"])["board"] == "Any Desktop"
    assert json.loads(parts["health.json"])[0]["fps"] == 29.9
    assert "ExecStart=/usr/bin/emotion-edge run" in parts["units.txt"]
    assert "SetCredential=***" in parts["units.txt"]
    assert "120 frames in 4.0 s" in parts["journal.txt"]


def test_a_foreign_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="was not written by emotion-edge"):
        fault_report.check(path)
    with pytest.raises(ConfigError, match="suffix"):
        fault_report.check(tmp_path / "report.txt")
    assert path.read_text() == "mine"
    fault_report.write(path, [], Machine(tmp_path), force=True)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["report.tar.gz"]
    fault_report.check(path)  # its own, which a second look may replace


def test_an_archive_of_somebody_else_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    for content in (gzip.compress(b"mine"), b"\x1f\x8b", b"\x1f\x8b\x08\x08" + bytes(99)):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="was not written by emotion-edge"):
            fault_report.check(path)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("rtsp://u:p@ss/w@host/a", "rtsp://***@host/a"),
        ("see http://h/a?key=1&b=2 now", "see http://h/a?key=***&b=*** now"),
        ('"password": "a b"', '"password": ***'),
        ("psk=two words", "psk=***"),
        ("30 frames: fine", "30 frames: fine"),
        ("wrote a@b", "wrote a@b"),
    ],
)
def test_places_where_secrets_stand(text: str, left: str) -> None:
    assert hiding.hide(text) == left


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'<>\\"), min_size=4))
def test_no_password_of_an_address_is_left(secret: str) -> None:
    if secret in "source rtsp://***@host/live failed":
        return
    text = f"source rtsp://user:{secret}@host/live failed"
    assert secret not in hiding.hide(text)
    assert secret not in json.dumps(hiding.hide_values({"a": [{"my_token": secret}], "b": text}, ()))

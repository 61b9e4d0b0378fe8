"""The doctor looks at the settings of each further camera as at those of the first."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_trees import LINK, PC, Files, plant

from edge.doctor import examine, fault_report, hiding, service, worst
from edge.doctor.examination import read_machine
from edge.doctor.machine import Machine

_DOOR = "etc/emotion-edge/door.toml"
_WANTS = "etc/systemd/system/multi-user.target.wants/emotion-edge@door.service"
_GOOD: Files = {
    _DOOR: '[source]\naddress = "/dev/video2"\n[detector]\nmodel = "/usr/lib/yunet.onnx"\n'
           '[output]\nhealth = "/run/emotion-edge-door/health.json"\n',
    "usr/lib/systemd/system/emotion-edge@.service": "[Service]\nEnvironment=ORT_DISABLE_TELEMETRY=1\n",
    _WANTS: f"{LINK}/usr/lib/systemd/system/emotion-edge@.service",
}  # fmt: skip


def about_door(root: Path, *names: str) -> list[tuple[str, str, str]]:
    told = [(f.check, f.level, f.text) for f in examine(root, names=names)]
    return [row for row in told if "emotion-edge@door" in row[2]]


def test_a_further_camera_in_order(tmp_path: Path) -> None:
    root = plant(tmp_path, PC, _GOOD)
    assert about_door(root) == [
        ("settings", "ok", f"emotion-edge@door: {root}/{_DOOR}"),
        ("service", "ok", "emotion-edge@door: emotion-edge@door.service starts at boot"),
        ("camera", "note", "emotion-edge@door: not looked at: /dev/video2 shows only on the running board"),
    ], "what is said of the first is not said again"
    found = worst(examine(root))
    assert found is None or found.level in ("ok", "note"), found


@pytest.mark.parametrize(
    ("change", "check", "level", "words"),
    [
        ({_DOOR: "[source]\nadress = 1\n"}, "settings", "fault", "unknown key source.adress"),
        ({_DOOR: None}, "settings", "fault", "door.toml"),
        ({_DOOR: '[source]\naddress = "gopher://x"\n'}, "parts", "fault", "is unknown"),
        ({_DOOR: '[bundle]\npath = "/srv/none"\n'}, "bundle", "fault", "no bundle at"),
        ({_DOOR: ""}, "detector", "warning", "no YuNet file"),
        ({_DOOR: '[source]\naddress = "/srv/none.mp4"\n'}, "camera", "fault", "does not exist"),
        ({_DOOR: '[source]\naddress = "csi://0"\n'}, "argus", "fault", "this is none"),
        ({_WANTS: None}, "service", "warning", "does not start at boot"),
        ({_DOOR: '[source]\naddress = "0"\n'}, "shared", "fault", "same camera /dev/video0"),
        ({_DOOR: '[output]\nhealth = "8090"\n',
          "etc/emotion-edge.toml": '[output]\nhealth = "8090"\n'}, "shared", "fault", "same health 8090"),
    ],
)  # fmt: skip
def test_a_fault_of_a_further_camera(
    change: dict, check: str, level: str, words: str, tmp_path: Path
) -> None:
    told = about_door(plant(tmp_path, PC, {**_GOOD, **change}), check)
    assert [row for row in told if row[:2] == (check, level) and words in row[2]], told


def test_two_readers_of_a_network_camera_or_the_demo_are_no_fault(tmp_path: Path) -> None:
    for address in ("rtsp://10.0.0.7/1", "demo"):
        same = f'[source]\naddress = "{address}"\n'
        root = plant(tmp_path / address[:4], PC, {**_GOOD, _DOOR: same, "etc/emotion-edge.toml": same})
        assert not examine(root, names=["shared"])


def test_settings_that_were_asked_for_are_looked_at_alone(tmp_path: Path) -> None:
    root = plant(tmp_path, PC, {**_GOOD, _DOOR: "[broken"})
    found = examine(root, settings=root / "etc/emotion-edge.toml", names=["settings"])
    assert [finding.level for finding in found] == ["ok"]


def test_its_cache_and_its_health_have_its_name(tmp_path: Path) -> None:
    yunet = "var/cache/emotion-edge-door/emotion-edge"
    machine = Machine(tmp_path, name="door")
    assert f"{machine.cache}/emotion-edge" == yunet
    root = plant(tmp_path, PC, {"run/emotion-edge-door/health.json": '{"up_s": 30, "frames": 5}'})
    (line,) = service.health_lines(Machine(root))
    assert line.startswith("door up 30 s")


def test_a_report_hides_its_secrets_and_has_its_settings(tmp_path: Path) -> None:
    text = '[source]\naddress = "rtsp://u:W1nterSonne@192.0.2.1/live"\n'
    machine = read_machine(plant(tmp_path, PC, {**_GOOD, _DOOR: text}))
    assert "W1nterSonne" in hiding.known(machine)
    texts = fault_report.contents([], machine)
    assert "192.0.2.1/live" in texts["settings@door.json"]
    assert "W1nterSonne" not in "".join(texts.values())

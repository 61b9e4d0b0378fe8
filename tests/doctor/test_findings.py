"""Each finding appears in a tree that has the fault, and in none that has not."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_trees import JP6, PC, PI4, PI5, TREES, plant

from edge.doctor import Finding, examine, worst
from edge.doctor.libraries import import_fix
from edge.doctor.machine import Machine

_SITE6 = "usr/lib/emotion-edge/lib/python3.10/site-packages"
_FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
_EMMC = "sys/block/mmcblk0/device"
_CSI = {"etc/emotion-edge.toml": '[source]\naddress = "csi://0"\n'}
_CORE = "Package: nvidia-l4t-core\nStatus: install ok installed\nVersion: 36.4.0-1\n\n"
_LATE = '{"up_s": 900, "frames": 10, "last_frame_s": 62.0}'
# Tree, what is changed in it, and the finding: its check, its level, some of its words.
FAULTS = [
    (JP6, {"etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 1\n"},
     "board", "fault", "JetPack 5"),
    (JP6, {"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1\n"}, "board", "warning", "mixed"),
    (JP6, {"usr/bin/python3.10": None}, "python", "fault", "python3.10, which this system does not have"),
    (JP6, {f"{_SITE6}/numpy-1.26.4.dist-info/METADATA": None, f"{_SITE6}/numpy-2.3.5.dist-info/METADATA": ""},
     "copies", "fault", "numpy 2.3.5"),
    (JP6, {f"{_SITE6}/opencv_python-4.11.0.86.dist-info/METADATA": ""}, "copies", "warning", "hides JetPack"),
    (PI4, {"usr/lib/python3/dist-packages/opencv_python-4.6.0.dist-info/METADATA": ""},
     "copies", "warning", "several OpenCV"),
    (PC, {f"usr/lib/python3/dist-packages/{name}-1.23.2.dist-info/METADATA": ""
          for name in ("onnxruntime", "onnxruntime_gpu")}, "copies", "warning", "onnxruntime-gpu"),
    (PC, {"etc/systemd/system/emotion-edge.service": "[Service]\nExecStart=/bin/python3 -I -m edge run\n"},
     "telemetry", "note", "does not set"),
    (PC, {"etc/group": "root:x:0:\n"}, "groups", "warning", "no group video"),
    (PC, {"usr/lib/udev/rules.d/50-udev-default.rules": '# SUBSYSTEM=="video4linux", GROUP="video"\n'},
     "devices", "warning", "no rule"),
    (PC, _CSI, "argus", "fault", "this is none"),
    (JP6, _CSI, "argus", "fault", "does not start at boot"),
    (JP6, {"var/lib/dpkg/status": _CORE},
     "gpu", "warning", "python3-libnvinfer is not installed"),
    (PI4, {"sys/class/thermal/thermal_zone0/temp": "84321\n"}, "thermals", "warning", "84 °C"),
    (PI4, {"sys/class/thermal/thermal_zone0/temp": "74321\n"}, "thermals", "note", "near the limit"),
    (PI4, {_FIRMWARE: "50005\n"}, "throttling", "fault", "under-voltage, throttled now"),
    (PI4, {_FIRMWARE: "8\n"}, "throttling", "warning", "soft temperature limit now"),
    (PI4, {_FIRMWARE: "50000\n"}, "throttling", "warning", "since the start"),
    (JP6, {"sys/class/hwmon/hwmon3/oc3_event_cnt": "37\n"}, "throttling", "warning", "37 times (oc3)"),
    (PI4, {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
           **{f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_governor": "powersave\n" for n in (1, 2, 3)}},
     "power-mode", "warning", "powersave"),
    (PI5, {"proc/device-tree/chosen/power/max_current": (3000).to_bytes(4, "big")},
     "supply", "warning", "3000 mA"),
    (PC, {"sys/class/power_supply/BAT0/status": "Discharging\n"}, "supply", "note", "battery"),
    (PC, {"sys/class/rtc/rtc0/name": None}, "clock", "note", "no chip"),
    (PC, {"proc/meminfo": "MemTotal: 300000 kB\nMemAvailable: 200000 kB\n"}, "memory", "fault", "300 MB"),
    (PC, {"proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 90000 kB\n"}, "memory", "warning", "90 MB"),
    (PC, {"proc/meminfo": ""}, "memory", "note", "does not tell"),
    (PC, {"proc/vmstat": "oom_kill 3\n"}, "memory", "warning", "ended 3 processes"),
    (PC, {"proc/mounts": "/dev/root / ext4 ro,noatime 0 0\n"}, "writable", "fault", "although /etc/fstab"),
    (PC, {"sys/fs/ext4/sda1/errors_count": "2\n"}, "writable", "warning", "sda1 counts 2 errors"),
    (PI4, {f"{_EMMC}/life_time": "0x03 0x0a\n"}, "wear", "warning", "100 %"),
    (PI4, {f"{_EMMC}/life_time": "0x03 0x02\n", f"{_EMMC}/pre_eol_info": "0x03\n"}, "wear", "fault", "30 %"),
    (PI4, {"sys/block/mmcblk0/device/type": "SD\n"}, "wear", "note", "does not tell its wear"),
    (PC, {"proc/swaps": "Filename Type\n/var/swap file 1 0 -2\n"}, "wear", "note", "/var/swap"),
    (PC, {"etc/emotion-edge.toml": "[source]\nadress = 1\n"},
     "settings", "fault", "unknown key source.adress"),
    (PC, {"etc/emotion-edge.toml": '[source]\naddress = "gopher://x"\n'}, "parts", "fault", "is unknown"),
    (PC, {"etc/emotion-edge.toml": '[source]\naddress = "rtsp://u:pass@h/"\n'},
     "parts", "warning", "password"),
    (PC, {"etc/emotion-edge.toml": '[bundle]\npath = "/srv/none"\n'}, "bundle", "fault", "no bundle at"),
    (PC, {"usr/lib/yunet.onnx": None}, "detector", "fault", "cannot be read"),
    (PC, {"etc/emotion-edge.toml": ""}, "detector", "warning", "no YuNet file"),
    (PC, {"etc/emotion-edge.toml": '[detector]\nkind = "haar"\n'}, "detector", "note", "fewer faces"),
    (PC, {"etc/systemd/system/emotion-edge.service": None,
          "etc/systemd/system/multi-user.target.wants/emotion-edge.service": None},
     "service", "note", "not installed"),
    (PC, {"etc/systemd/system/multi-user.target.wants/emotion-edge.service": None},
     "service", "warning", "does not start at boot"),
    (PC, {"run/emotion-edge/health.json": _LATE}, "health", "fault", "no frame for 62 s"),
    (PC, {"run/emotion-edge/health.json": '{"up_s": 9, "frames": 0}'},
     "health", "fault", "no frame came yet"),
    (PC, {"etc/emotion-edge.toml": ""}, "camera", "note", "no source is set"),
    (PC, {"etc/emotion-edge.toml": '[source]\naddress = "/srv/none.mp4"\n'},
     "camera", "fault", "does not exist"),
]  # fmt: skip


def told(findings: list[Finding], check: str, level: str, words: str) -> list[Finding]:
    return [f for f in findings if f.check == check and f.level == level and words in f.text]


@pytest.mark.parametrize(
    ("tree", "change", "check", "level", "words"), FAULTS, ids=[f"{row[2]}-{row[4][:20]}" for row in FAULTS]
)
def test_a_fault_is_found_where_it_is_and_not_where_it_is_not(
    tree: dict, change: dict, check: str, level: str, words: str, tmp_path: Path
) -> None:
    assert not told(examine(plant(tmp_path / "well", tree), names=[check]), check, level, words)
    found = told(examine(plant(tmp_path / "ill", tree, change), names=[check]), check, level, words)
    assert len(found) == 1
    assert found[0].fix or level == "note", "it says how to mend it"


@pytest.mark.parametrize("name", TREES)
def test_a_board_in_order(name: str, tmp_path: Path) -> None:
    findings = examine(plant(tmp_path, TREES[name]))
    wrong = [finding for finding in findings if finding.level in ("warning", "fault")]
    assert not wrong
    known = {"jetpack 6.1": "6.1 (L4T 36.4.0)", "jetpack 7.2": "7.2 (L4T 39.2.0)", "pi 4": "Raspberry Pi 4",
             "pi 5": "Raspberry Pi 5", "pc": "Any Desktop"}  # fmt: skip
    assert known[name] in findings[0].text
    assert told(findings, "camera", "note", "not looked at: /dev/video0"), "nothing was opened"


def test_the_power_mode_of_a_jetson_is_told(tmp_path: Path) -> None:
    (found,) = examine(plant(tmp_path, JP6), names=["power-mode"])
    assert (found.level, found.text) == ("ok", "MAXN_SUPER (mode 2)")


def test_an_empty_tree_has_findings_and_no_error(tmp_path: Path) -> None:
    findings = examine(tmp_path)
    assert not [finding for finding in findings if "failed" in finding.text or "did not end" in finding.text]
    found = worst(findings)
    assert found is not None
    assert worst([]) is None


@pytest.mark.parametrize("module", ["numpy", "cv2", "onnxruntime", "picamera2", "gi"])
def test_no_fix_names_pip_where_a_kit_is_installed(module: str, tmp_path: Path) -> None:
    tree = Machine(plant(tmp_path, JP6, {"usr/lib/emotion-edge/pyvenv.cfg": "home = /usr/bin\n"}))
    (tmp_path / _SITE6 / "numpy").mkdir()
    fix = import_fix(module, tree)
    assert "pip" not in fix
    by_apt = {"cv2": "libopencv-python", "picamera2": "python3-picamera2", "gi": "python3-gi"}
    assert fix.endswith(by_apt.get(module, "install the kit again"))
    assert import_fix("numpy", Machine(tmp_path / "usr")) == "pip install numpy"

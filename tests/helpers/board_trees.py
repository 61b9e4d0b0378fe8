"""Root folders of boards, with as much in them as the doctor reads.

What the files hold is what the kernel's and the makers' documentation says; no board was at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from board_files import ORIN_NANO, PI_4, PI_5, X86

Files = Mapping[str, str | bytes]
LINK = "-> "  # a text that begins so is a link to the rest
_UDEV = "usr/lib/udev/rules.d/50-udev-default.rules"
_SYSTEM: Files = {
    _UDEV: 'SUBSYSTEM=="video4linux", GROUP="video"\n',
    "etc/group": "root:x:0:\nvideo:x:44:\nrender:x:104:\n",
    "etc/fstab": "# a comment\nPARTUUID=1-02 / ext4 defaults,noatime 0 1\n",
    "proc/mounts": "/dev/root / ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\n",
    "proc/meminfo": "MemTotal:        4000000 kB\nMemFree:  100000 kB\nMemAvailable:    3000000 kB\n",
    "proc/vmstat": "pgfault 12\noom_kill 0\n",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 100\n",
    "etc/emotion-edge.toml": '[source]\naddress = "/dev/video0"\n[detector]\nmodel = "/usr/lib/yunet.onnx"\n',
    "usr/lib/yunet.onnx": "not looked into",
    "etc/systemd/system/emotion-edge.service":
        "[Service]\nExecStart=/usr/bin/emotion-edge run\nEnvironment=ORT_DISABLE_TELEMETRY=1\n",
    "etc/systemd/system/multi-user.target.wants/emotion-edge.service":
        f"{LINK}/etc/systemd/system/emotion-edge.service",
    "sys/class/rtc/rtc0/name": "rtc\n",
}  # fmt: skip


def _release(name: str) -> str:
    return f'PRETTY_NAME="{name}"\nID=any\n'


def _package(name: str, version: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"


def _kit(python: str, **wheels: str) -> Files:
    site = f"usr/lib/emotion-edge/lib/{python}/site-packages"
    return {
        f"usr/bin/{python}": "the interpreter",
        f"{site}/sitecustomize.py": "",
        **{f"{site}/{name}-{version}.dist-info/METADATA": "" for name, version in wheels.items()},
    }


JP6: Files = {
    **_SYSTEM, **ORIN_NANO, **_kit("python3.10", numpy="1.26.4", onnxruntime="1.23.2"),
    "proc/device-tree": f"{LINK}/sys/firmware/devicetree/base",
    "sys/firmware/devicetree/base/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "etc/os-release": f"{LINK}../usr/lib/os-release", "usr/lib/os-release": _release("Ubuntu 22.04.5 LTS"),
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic\n",
    "var/lib/dpkg/status":
        _package("nvidia-l4t-core", "36.4.0-20240912212859") + _package("python3-libnvinfer", "10.3.0.30-1"),
    "sys/class/hwmon/hwmon3/oc3_event_cnt": "0\n",
}  # fmt: skip
JP7: Files = {
    **JP6, "etc/nv_tegra_release": "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic\n",
    "usr/lib/os-release": _release("Ubuntu 24.04.3 LTS"),
    "sys/firmware/devicetree/base/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
    "var/lib/dpkg/status":
        _package("nvidia-l4t-core", "39.2.0-20260601141651") + _package("python3-libnvinfer", "10.16.0.1-1"),
    **_kit("python3.12", numpy="2.3.5", onnxruntime="1.23.2"),
}  # fmt: skip
JP7 = {name: text for name, text in JP7.items() if "python3.10" not in name}
PI4: Files = {
    **_SYSTEM, **PI_4, **_kit("python3.11", numpy="1.26.4", opencv_python_headless="4.11.0.86"),
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "etc/os-release": _release("Debian GNU/Linux 12 (bookworm)"),
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
}  # fmt: skip
PI4 = {name: text for name, text in PI4.items() if "rtc" not in name}
PI5: Files = {
    **_SYSTEM, **PI_5, **_kit("python3.13", numpy="2.3.5"),
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/chosen/power/max_current": (5000).to_bytes(4, "big"),
    "etc/os-release": _release("Debian GNU/Linux 13 (trixie)"),
    "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "0\n",
}  # fmt: skip
PC: Files = {
    **_SYSTEM, **X86, "sys/class/dmi/id/product_name": "Any Desktop\n",
    "etc/os-release": _release("Debian GNU/Linux 13 (trixie)"),
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "intel_pstate\n",
}  # fmt: skip
TREES = {"jetpack 6.1": JP6, "jetpack 7.2": JP7, "pi 4": PI4, "pi 5": PI5, "pc": PC}


def plant(root: Path, *layers: Mapping[str, str | bytes | None]) -> Path:
    """Write the files of each layer below ``root``; None takes one away again."""
    files = {name: content for layer in layers for name, content in layer.items()}
    for name, content in files.items():
        path = root / name
        if content is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith(LINK):
            path.symlink_to(content.removeprefix(LINK))
        elif isinstance(content, str):
            path.write_text(content)
        else:
            path.write_bytes(content)
    return root

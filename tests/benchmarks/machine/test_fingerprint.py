"""A fingerprint tells a machine's kind and software, and nothing about whose it is."""

import getpass
import hashlib
import json
import platform
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.machine import fingerprint as prints
from benchmarks.machine.fingerprint import fingerprint
from edge import bundle
from edge.system import hashing
from edge.system.hashing import sha256

ORIN_NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/cpuinfo": "".join(f"processor\t: {n}\nBogoMIPS\t: 62.50\n\n" for n in range(6)),
    "proc/meminfo": "MemTotal:        7802144 kB\nMemFree:          312 kB\n",
    "proc/loadavg": "0.31 0.20 0.10 1/300 4242\n",
    "proc/sys/kernel/osrelease": "5.15.148-tegra\n",
    "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "etc/hostname": "jane-laptop\n",
    "proc/device-tree/serial-number": "1421023012345\0",
}


def system(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_a_jetson(tmp_path) -> None:
    found = fingerprint(None, [], ["emotion-bench", "model"], 7, system(tmp_path, ORIN_NANO))
    assert found["board"] == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert (found["cores"], found["memory_mb"], found["load_1min"]) == (6, 7989, 0.31)
    assert (found["kernel"], found["os"]) == ("5.15.148-tegra", "Ubuntu 22.04.5 LTS")
    assert found["jetpack"] == "6.2 (L4T 36.4.3)"
    assert found["governor"] == "schedutil"
    assert (found["seed"], found["bundle"], found["inputs"]) == (7, None, [])
    text = json.dumps(found)
    assert "jane" not in text
    assert "1421023012345" not in text


def test_a_jetson_too_old_for_tensorrt_is_told(tmp_path) -> None:
    release = {"etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 1\n"}
    assert fingerprint(None, [], [], 0, system(tmp_path, release))["jetpack"] == "L4T 35.4.1"


def test_a_machine_without_a_device_tree_is_its_processor(tmp_path) -> None:
    files = {"proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nprocessor\t: 1\n"}
    found = fingerprint(None, [], [], 0, system(tmp_path, files))
    assert (found["board"], found["cores"]) == ("AMD EPYC 7B13", 2)


def test_an_empty_machine(tmp_path) -> None:
    found = fingerprint(None, [], [], 0, tmp_path)
    for name in ("board", "cores", "memory_mb", "governor", "load_1min", "gpu", "kernel", "os", "jetpack"):
        assert found[name] is None


def test_odd_contents_never_raise(tmp_path) -> None:
    for content in (b"\xff\xfe\0", b"", b"MemTotal: " + b"9" * 500 + b" kB", b"nan nan nan", b"=\n" * 9000):
        for name in ORIN_NANO:
            system(tmp_path, {name: ""})
            (tmp_path / name).write_bytes(content)
        json.dumps(fingerprint(None, [], [], 0, tmp_path))


def test_this_machine() -> None:
    loaded = bundle.load(bundle.REFERENCE)
    found = fingerprint(loaded, [bundle.REFERENCE / "manifest.json"], ["emotion-bench"], 1)
    assert found["libraries"]["numpy"] == np.__version__
    assert found["libraries"]["cv2"] == cv2.__version__
    assert (found["architecture"], found["python"]) == (platform.machine(), platform.python_version())
    assert found["cores_allowed"] >= 1
    assert datetime.now(timezone.utc) - datetime.fromisoformat(found["time_utc"]) < timedelta(minutes=5)
    whole = hashlib.sha256((bundle.REFERENCE / "manifest.json").read_bytes()).hexdigest()
    assert found["inputs"] == [{"name": "manifest.json", "sha256": whole}]
    assert found["bundle"]["manifest_sha256"] == whole
    assert (found["bundle"]["name"], found["bundle"]["version"]) == ("reference", "0.2.1")
    model = loaded.model("fp32")
    assert found["bundle"]["files_sha256"][model.name] == sha256(model)


def test_whose_machine_it_is_stays_out(tmp_path) -> None:
    """The words in full: a user "root" is part of many a path, and its folder is what must not be there."""
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"clip")
    command = [
        str(Path.home() / "bin/python"),
        f"--clip={clip}",
        str(clip),
        f"{getpass.getuser()}@{platform.node()}",
    ]
    found = fingerprint(bundle.load(bundle.REFERENCE), [clip], command, 1)
    assert found["command"] == ["python", "--clip=a.mp4", "a.mp4", "(left out)"]
    text = json.dumps(found)
    assert not any(place in text for place in (str(tmp_path), str(Path.home()) + "/", str(bundle.REFERENCE)))
    values = [value for value in found.values() if isinstance(value, str)]
    assert getpass.getuser() not in values
    assert platform.node() not in values


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/home/Jane Doe/clips/a.mp4", "a.mp4"),
        ("--out=/home/jane/out/", "--out=out"),
        ("../a=b/c.mp4", "c.mp4"),
        ("source.address=rtsp://jane:secret@10.0.0.7/live", "source.address=(left out)"),
        ("rtsp://10.0.0.7/live", "(left out)"),
        ("engine.kind=onnxruntime", "engine.kind=onnxruntime"),
        ("--faces", "--faces"),
        ("/", ""),
    ],
)
def test_words_of_the_command(word, kept) -> None:
    assert prints._without_path(word) == kept


def test_inputs(tmp_path) -> None:
    """A folder is the same wherever it lies; a camera, or what is gone by now, has no hash."""
    folders = [tmp_path / "here/faces", tmp_path / "there/faces"]
    for folder in folders:
        (folder / "b").mkdir(parents=True)
        (folder / "b/2.png").write_bytes(b"two")
        (folder / "1.png").write_bytes(b"one")
    first, second, gone = fingerprint(None, [*folders, tmp_path / "gone.mp4"], [], 0)["inputs"]
    assert first == second
    assert gone == {"name": "gone.mp4", "sha256": None}
    (folders[1] / "b/2.png").write_bytes(b"2")
    assert prints._input(folders[1]) != first
    assert prints._input(Path("/dev/null")) == {"name": "null", "sha256": None}


def test_a_large_input_is_hashed_in_parts(tmp_path) -> None:
    content = b"x" * (2 * hashing._CHUNK_BYTES + 5)
    (tmp_path / "a.mp4").write_bytes(content)
    assert prints._input(tmp_path / "a.mp4")["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_library_that_pip_does_not_know(monkeypatch) -> None:
    """As a board has it from apt: the module alone knows its version."""
    unknown = {"numpy": ("no-such-package",), "tensorrt": ("no-such-package",)}
    assert prints._library("numpy", unknown) == np.__version__
    monkeypatch.setitem(prints.sys.modules, "tensorrt", None)
    assert prints._library("tensorrt", unknown) is None

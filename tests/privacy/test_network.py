"""Nothing leaves the machine, and nothing is left on its disk: the programs, seen from outside for 20 s each.

Each runs in an empty home, with an empty folder for temporary files, from a copy of the packages that was
compiled as pip compiles it. It then stays alive, because a library's own threads may wait before they call.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tiny
import traced

from edge.capture.demo import DemoSource

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not traced.strace(), reason="strace is missing, or the kernel does not permit it"),
]
cv2 = pytest.importorskip("cv2")

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "export", "calibration", "benchmarks")
SECONDS = 20  # ONNX Runtime 1.31 looks up its telemetry host after ten
STAY = """
import importlib, sys, time
began = time.monotonic()
code = importlib.import_module(sys.argv[1] + ".__main__").main(sys.argv[2:])
time.sleep(max(0.0, began + {seconds} - time.monotonic()))
sys.exit(code)
"""
# The camera is the demo's scene as a live source. It takes the place of every source in the table.
CAMERA = """
import time
from dataclasses import replace
from edge.capture import sources
from edge.capture.demo import DemoSource

class Camera(DemoSource):
    live = True

    def frames(self):
        for frame in super().frames():
            time.sleep(1 / 30)
            yield replace(frame, timestamp_s=time.monotonic())

sources.SOURCES = tuple(replace(part, load=lambda about: Camera()) for part in sources.SOURCES)
"""
OUTPUTS = ["--jsonl", "o.jsonl", "--annotate", "o.mp4", "--trajectory", "o.png", "--health", "health.json"]
FP32 = ["--precision", "fp32"]
PROGRAMS = {
    "demo": ["edge", "demo", "--out", "out"],
    "file": ["edge", "run", "../clip.avi", *FP32, *OUTPUTS],
    "camera": ["edge", "run", "picam://0", *FP32, "--max-frames", "200", *OUTPUTS],
    "check": ["edge", "check", "demo"],
    "bundle": [
        *["export", "bundle", "--onnx", "../window.onnx", "--data", "../set.npz", "-o", "bundle"],
        *["--labels", "a,b,c", "--normalize", "unit", "--step-hz", "10"],
    ],
    "bench": [
        *["benchmarks", "pipeline", "--frames", "30", "--bundle", "../tiny", "--set", "detector.kind=haar"],
        *["--json", "o.json", "--html", "o.html"],
    ],
}
PHOTOGRAPHS = ["skimage", "matplotlib"]
NEEDS = {
    **dict.fromkeys(("demo", "file", "camera", "check"), PHOTOGRAPHS),
    "bundle": ["torch", "onnx", "jinja2", "scipy"],
    "bench": ["scipy", "jinja2", "matplotlib"],
}


class Seen:
    """A program that runs in folders of its own, and what it asked the kernel for."""

    def __init__(self, name: str, folder: Path) -> None:
        self.home, self.out, self._trace = folder / "home", folder / "work", folder / "trace"
        for made in (self.home, self.out, folder / "tmp"):
            made.mkdir(parents=True)
        kept = {key: value for key, value in os.environ.items() if key.startswith(("LANG", "LC_", "LD_"))}
        code = (CAMERA if name == "camera" else "") + STAY.format(seconds=SECONDS)
        self._run = traced.start(
            [sys.executable, "-c", code, *PROGRAMS[name]],
            self._trace,
            {
                **kept,
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "TMPDIR": str(folder / "tmp"),
                "PYTHONPATH": str(folder.parent / "installed"),
            },
            self.out,
        )

    def ended(self) -> str:
        """What strace wrote, after the program has ended well."""
        told, _ = self._run.communicate(timeout=300)
        assert self._run.returncode == 0, told
        return self._trace.read_text(errors="replace")

    def kill(self) -> None:
        if self._run.poll() is None:
            self._run.terminate()  # a killed strace would leave the program behind
            self._run.communicate()


def available(name: str) -> bool:
    return all(map(find_spec, NEEDS[name]))


def write_inputs(folder: Path) -> None:
    """The packages as pip leaves them, a clip, and what the bundle is made of."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / "installed" / package, ignore=ignored)
    assert compileall.compile_dir(folder / "installed", quiet=1)
    for made in ("file", "bundle", "bench"):
        (folder / made).mkdir()
    if available("file"):
        clip = cv2.VideoWriter(
            str(folder / "file" / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 15, (640, 480)
        )
        for frame in islice(DemoSource().frames(), 60):
            clip.write(frame.image)
        clip.release()
    tiny.write(folder / "bench" / "tiny")
    if available("bundle"):
        import onnx
        from windows import Recipe, build

        from export.bundle.golden import draw

        onnx.save(build(Recipe(hidden=(5, 4), head="mean", steps=6)), str(folder / "bundle" / "window.onnx"))
        np.savez(folder / "bundle" / "set.npz", crops=draw(8, 24, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    """All at once, since they mostly wait."""
    folder = tmp_path_factory.mktemp("programs")
    write_inputs(folder)
    here = [name for name in PROGRAMS if available(name)]
    started = {name: Seen(name, folder / name) for name in here}
    yield started
    for seen in started.values():
        seen.kill()


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_leaves_and_nothing_is_left(name: str, programs: dict[str, Seen]) -> None:
    if name not in programs:
        pytest.skip(f"needs {', '.join(NEEDS[name])}")
    seen, text = programs[name], programs[name].ended()
    assert len(text) > 10_000, "strace saw the program"
    assert not traced.network(text)
    changed = traced.changed(text, seen.out)
    assert not traced.outside(changed, [seen.out, seen.home / ".cache" / "emotion-edge"])
    assert name == "check" or any((seen.out).iterdir()), "it did its work"

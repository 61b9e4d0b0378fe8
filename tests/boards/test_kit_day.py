"""A day of service, in seconds: `dpkg --verify` finds the package as it was, and nothing lies beside it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import pytest
import small_deb
from small_deb import TREE

from edge.capture.demo import DemoSource

ROOT = Path(__file__).parents[2]
SITE = f"{TREE}/lib/python3/site-packages"
DAY_S, FRAMES = 86_400, 120
# Each second of the machine is two days of the program. What it starts keeps the machine's clock: a network
# that is new has to be tried within seconds.
FAST = """
import sys, time
began, monotonic, wall = time.monotonic(), time.monotonic, time.time()
def fast(): return began + 172_800 * (monotonic() - began)
time.monotonic, time.time = fast, lambda: wall + fast() - began
"""
RUN = """
import sys, edge
from edge.__main__ import main
print(edge.__file__, file=sys.stderr)
sys.exit(main())
"""

pytestmark = [
    pytest.mark.boards,
    pytest.mark.skipif(bool(small_deb.why_not()), reason=small_deb.why_not()),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> small_deb.Root:
    """The program as the package has it: its modules with bytecode whose hash is not checked."""
    folder = tmp_path_factory.mktemp("day")
    site = folder / "tree/lib/python3/site-packages"
    shutil.copytree(ROOT / "edge", site / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    words = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(site)]
    subprocess.run([sys.executable, *words], check=True)
    return small_deb.Root(folder / "root", small_deb.build(folder, {}, folder / "tree"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of the demo over a day of the source's time, twelve minutes apart."""
    path = tmp_path_factory.mktemp("clip") / "day.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, frame in enumerate(islice(DemoSource().frames(), FRAMES)):
            picture = av.VideoFrame.from_ndarray(frame.image, format="bgr24")
            picture.pts, picture.time_base = 1000 * DAY_S * number // (FRAMES - 1), Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def run(root: small_deb.Root, program: str, *words: str) -> tuple[dict, str]:
    """Summary and log of a run that a manager watches, with state and cache where the unit has them."""
    state, cache = (root.path / f"var/{name}/emotion-edge" for name in ("lib", "cache"))
    for folder in (state, cache, root.path / "run/emotion-edge"):
        folder.mkdir(parents=True, exist_ok=True)
    own = {"PYTHONPATH": str(root.path / SITE), "XDG_CACHE_HOME": str(cache), "HOME": str(state)}
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = root.path / "run/notify"
        address.unlink(missing_ok=True)
        manager.bind(str(address))
        threading.Thread(target=_hear, args=(manager,), daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=state, capture_output=True, text=True, timeout=120,
            env=environ | own | {"NOTIFY_SOCKET": str(address)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def _hear(manager: socket.socket) -> None:
    with suppress(OSError):
        while True:
            manager.recv(4096)


def contents(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Path -> mode, size and time of change."""
    found = {str(path.relative_to(folder)): path.stat() for path in (folder, *folder.rglob("*"))}
    return {name: (status.st_mode, status.st_size, status.st_mtime_ns) for name, status in found.items()}


def test_nothing_writes_into_the_package_in_a_day(root: small_deb.Root, clip: Path) -> None:
    words = [
        "run", str(clip), "--jsonl", str(root.path / "var/lib/emotion-edge/estimates.jsonl"),
        "--health", str(root.path / "run/emotion-edge/health.json"), "--set", "detector.kind=haar",
        "--summary", "json",
    ]  # fmt: skip
    before = contents(root.path / TREE)
    run(root, RUN, *words, "--max-frames", "2")  # the first start, at which the network is new
    summary, log = run(root, FAST + RUN, *words)
    assert str(root.path / SITE) in log, "that of the package"
    assert summary["frames"] == FRAMES
    assert summary["run_s"] >= DAY_S
    assert summary["source_s"] >= DAY_S - 1
    assert (root.path / "var/lib/emotion-edge/estimates.jsonl").stat().st_size > 0
    assert root.dpkg("--verify", "emotion-edge") == ""
    assert contents(root.path / TREE) == before
    with (root.path / SITE / "edge/version.py").open("a") as file:
        file.write("#")
    assert "edge/version.py" in root.dpkg("--verify", "emotion-edge"), "a change would be found"

"""The kits of Python 3.10 and 3.12, for which there is no Debian to install into, made for this processor.

The same pins, as wheels for x86-64, in the tree of the package. It answers a picture as the checkout does.
What the board's system would give lies in a folder of its own, behind what the kit ships.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import kits
import numpy as np
import pytest
from skimage import data

from edge.deploy.kit import making, targets
from edge.errors import EdgeError
from edge.system.steps import Steps

pytestmark = [
    pytest.mark.boards,
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the twin is for x86-64"),
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is missing"),
]
# Of Ubuntu 22.04, whose NumPy the kit hides, and 24.04; OpenCV as JetPack has it, built against NumPy 1.
SYSTEM = {
    "jetson-jp6": ["numpy==1.21.5", "opencv-python-headless==4.8.1.78"],
    "jetson-jp7": ["numpy==1.26.4", "opencv-python-headless==4.8.1.78"],
}
ASK = "import sys, numpy, onnxruntime; print(numpy.__version__, onnxruntime.__version__, sys.version)"


@pytest.fixture(scope="module", params=SYSTEM)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of the kit, unpacked, with this machine's Python in place of the board's."""
    target = targets.find(request.param)
    python = interpreter(target.python)
    folder = tmp_path_factory.mktemp(target.name)
    order = making.Order(
        replace(target, arch="amd64"), kits.settings(folder), folder / "kit", accepted=True,
        compile_with=str(python),
    )  # fmt: skip
    with Steps("twin") as steps:
        try:
            making.make(order, steps)
        except EdgeError as error:
            if "no wheel of" in str(error):
                pytest.skip(str(error))
            raise
    (deb,) = (folder / "kit").glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(deb), str(folder / "root")], check=True)
    home = folder / "root/usr/lib/emotion-edge"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder / "system"]
    subprocess.run([*install, *SYSTEM[target.name]], check=True, capture_output=True)
    (home / "bin/python3").unlink()
    (home / "bin/python3").symlink_to(python)
    (home / "pyvenv.cfg").write_text(f"home = {python.parent}\ninclude-system-site-packages = false\n")
    site = home / f"lib/python{target.python}/site-packages"
    (site / "system.pth").write_text(f"{folder / 'system'}\n")
    return home


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_it_answers_as_the_checkout(twin: Path, precision: str, tmp_path: Path) -> None:
    picture = tmp_path / "face.png"
    cv2.imwrite(str(picture), np.ascontiguousarray(data.astronaut()[:300, 100:400, ::-1]))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [twin / "bin/python3", "-I", "-m", "edge", *kits.run(picture, precision)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    kits.assert_same(kits.estimate(done.stdout), kits.here(picture, precision))


def test_it_runs_on_its_own_wheels(twin: Path) -> None:
    said = subprocess.run([twin / "bin/python3", "-I", "-c", ASK], capture_output=True, text=True, check=True)
    numpy, onnxruntime, version = said.stdout.split()[:3]
    (target,) = [row for row in targets.TARGETS if row.jetson and version.startswith(f"{row.python}.")]
    assert f"onnxruntime=={onnxruntime}" in target.wheels
    assert f"numpy=={numpy}" in (*target.wheels, *SYSTEM[target.name])


def interpreter(version: str) -> Path:
    """A CPython of that version, of pyenv, else of the path; with pip, for what the board's system has."""
    own = Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")
    for candidate in (*own, shutil.which(f"python{version}")):
        if candidate and not subprocess.run([candidate, "-m", "pip", "-V"], capture_output=True).returncode:
            return Path(candidate)
    pytest.skip(f"no Python {version} with pip")

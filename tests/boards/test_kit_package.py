"""The package of a real kit: lintian finds no error, and a second build gives the same bytes.

The wheels come from the network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import kits
import pytest

from edge.deploy.kit import legal, wheels
from edge.deploy.kit.programs import Programs
from edge.deploy.kit.targets import TARGETS, Target, find

pytestmark = [
    pytest.mark.boards,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is missing"),
]
LARGEST = 100e6  # bytes, of any kit


@pytest.mark.skipif(not shutil.which("lintian"), reason="lintian is missing: apt install lintian")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.name}-{target.python}")
def test_lintian_finds_no_error(target: Target, tmp_path: Path) -> None:
    deb = kits.make(target.name, tmp_path, "/dev/video0", "--python", target.python)
    assert deb.stat().st_size <= LARGEST
    words = ["lintian", "--allow-root", "--show-overrides", "--tag-display-limit", "0", str(deb)]
    said = subprocess.run(words, capture_output=True, text=True)
    assert [line for line in said.stdout.splitlines() if line.startswith("E: ")] == []
    assert "O: emotion-edge: package-installs-python-pycache-dir" in said.stdout, said.stderr  # it has looked


def test_each_override_has_a_reason() -> None:
    """A comment above it, or above others of the same reason."""
    stanzas = re.findall(r"((?:^#.*\n)*)((?:^[^#\n].*\n)+)", legal.OVERRIDES, re.MULTILINE)
    assert "".join(reason + lines for reason, lines in stanzas) == legal.OVERRIDES
    assert all(len(reason) > 40 for reason, _ in stanzas)


def test_a_second_build_has_the_same_bytes(tmp_path: Path) -> None:
    """In another folder, by another umask, in another time zone, from wheels of another day."""
    first, second = tmp_path / "first", tmp_path / "another-name"
    first.mkdir()
    wheels.fetch(find("jetson-jp6"), first / "wheels", Programs(tmp_path), None, [])
    shutil.copytree(first, second)
    for path in (second / "wheels").iterdir():
        os.utime(path, (10**9, 10**9))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    other = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "TMPDIR": str(temporary), "PYTHONHASHSEED": "7"}
    one = kits.make("jetson-jp6", first, "/dev/video0", "--wheels", str(first / "wheels"))
    given = ["--wheels", str(second / "wheels")]
    two = kits.make("jetson-jp6", second, "/dev/video0", *given, umask=0o077, env={**os.environ, **other})
    assert sorted(path.name for path in one.parent.iterdir()) == sorted(
        path.name for path in two.parent.iterdir()
    )
    for path in one.parent.iterdir():
        again = two.with_name(path.name)
        assert path.read_bytes() == again.read_bytes(), difference(path, again)


def difference(one: Path, two: Path) -> str:
    """What diffoscope says, where it is installed."""
    if not shutil.which("diffoscope"):
        return f"{one.name} differs; to see where: apt install diffoscope-minimal"
    words = ["diffoscope", "--text", "-", "--max-text-report-size", "4000", str(one), str(two)]
    return subprocess.run(words, capture_output=True, text=True).stdout

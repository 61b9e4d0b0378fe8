"""``emotion-edge kit make``, run from outside: what is in the package."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import kits_made
import pytest
import tiny_wheels
from kits_made import OWN, TARGET

from edge.cli.program import COMMANDS
from edge.deploy.kit.installing import Kit
from edge.version import RELEASED, __version__

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
pytest.importorskip("cyclonedx_py", reason="needs the extra kit")
SITE = "usr/lib/emotion-edge/lib/python3.13/site-packages"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, wheels and a kit."""
    folder = kits_made.filled(tmp_path_factory.mktemp("made"))
    done = kits_made.make(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def root(made: Path) -> Path:
    """What lies in the package of that kit."""
    return kits_made.unpacked(made / "KIT", made.with_name("root"))


def test_a_kit_is_what_kit_install_takes(made: Path) -> None:
    assert Kit.of(made / "KIT").deb.name == f"emotion-edge_{__version__}-1_arm64.deb"
    assert sorted(path.name for path in made.iterdir()) == ["KIT", "kiosk.toml", "wheels"]


def test_the_environment_is_there_as_files(root: Path) -> None:
    home, site = root / "usr/lib/emotion-edge", root / SITE
    link = os.path.join("/", home.relative_to(root), "bin", os.readlink(home / "bin/python3"))
    assert os.path.normpath(link) == "/usr/bin/python3.13"
    assert "include-system-site-packages = true" in (home / "pyvenv.cfg").read_text()
    assert {"edge", "onnxruntime", "opencv_python_headless"} <= {path.name for path in site.iterdir()}
    assert not (site / "bin").exists()
    assert (site / "edge/models/reference/manifest.json").exists()
    fields = (root / "DEBIAN/control").read_text()
    assert "\nArchitecture: arm64\n" in fields
    assert "\nEmotion-Edge-Target: pi-trixie\n" in fields
    assert "python3-numpy" in fields


def test_dpkg_can_verify_every_file_but_conffiles(root: Path) -> None:
    listed = dict(
        reversed(line.split("  ", 1)) for line in (root / "DEBIAN/md5sums").read_text().splitlines()
    )
    conffiles = {line[1:] for line in (root / "DEBIAN/conffiles").read_text().splitlines()}
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(root).as_posix() for path in files if "DEBIAN" not in path.parts}
    assert conffiles == {name for name in names if name.startswith("etc/")}
    assert "etc/emotion-edge.toml" in conffiles
    assert listed == {
        name: hashlib.md5((root / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in names - conffiles
    }


def test_all_belongs_to_root_at_the_time_of_the_release_and_only_programs_run(made: Path) -> None:
    command = ["dpkg-deb", "-c", str(kits_made.deb(made / "KIT"))]
    environment = {**os.environ, "TZ": "UTC"}
    said = subprocess.run(command, capture_output=True, text=True, env=environment).stdout
    rows = [line.split() for line in said.splitlines()]
    assert {row[1] for row in rows} == {"root/root"}
    assert {row[3] for row in rows} == {RELEASED}
    assert {row[0] for row in rows if row[0][0] == "d"} == {"drwxr-xr-x"}
    assert {row[0] for row in rows if row[0][0] == "-"} == {"-rw-r--r--", "-rwxr-xr-x"}
    assert {row[5] for row in rows if row[0] == "-rwxr-xr-x"} == {
        "./etc/update-motd.d/60-emotion-edge", "./usr/bin/emotion-edge", "./usr/lib/emotion-edge/firstboot"
    }  # fmt: skip


def test_bytecode_is_not_compared_with_its_source(tmp_path: Path) -> None:
    folder = kits_made.filled(tmp_path)
    tiny_wheels.write(folder / "wheels", OWN)
    assert kits_made.make(folder, *kits_made.COMPILED).returncode == 0
    root = kits_made.unpacked(folder / "KIT", folder / "root")
    home = root / "usr/lib/emotion-edge"
    compiled = list(home.rglob("*.pyc"))
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\1\0\0\0"}
    assert len(compiled) == len(list(home.rglob("*.py")))
    assert not [path for path in compiled if os.fsencode(folder) in path.read_bytes()]


def test_the_list_of_parts_names_each_wheel(made: Path) -> None:
    found = json.loads((made / "KIT/sbom.cdx.json").read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["name"].replace("_", "-"): part["version"] for part in found["components"]}
    assert parts == {"emotion-edge": __version__, **dict(pin.split("==") for pin in TARGET.wheels)}


def test_the_license_of_each_wheel_stands_over_all_its_files(root: Path) -> None:
    text = (root / "usr/share/doc/emotion-edge/copyright").read_text()
    stanzas = [stanza for stanza in text.split("\n\n") if stanza.startswith("Files: ")]
    assert "research" in text
    for pin in TARGET.wheels:
        name, version = pin.split("==")
        plain = name.replace("-", "_")
        (stanza,) = [stanza for stanza in stanzas if f"\n {plain} {version}: MIT" in stanza]
        assert "Copyright: Somebody Else" in stanza
        patterns = stanza.partition("\nCopyright")[0].removeprefix("Files:").split()
        for file in (f"{plain}/__init__.py", f"of_{plain}.py", f"other_{plain[:4]}.pth"):
            assert (root / SITE / file).exists()
            assert [pattern for pattern in patterns if fnmatch.fnmatchcase(f"{SITE}/{file}", pattern)], file
        texts = re.findall(r"The full text: /(\S+)", stanza)
        assert len(texts) == 2
        assert all((root / path).is_file() for path in texts)


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_the_manual_page_has_no_fault_and_names_each_command(root: Path) -> None:
    page = root / "usr/share/man/man1/emotion-edge.1.gz"
    text = subprocess.run(["gzip", "-dc", str(page)], capture_output=True, check=True).stdout
    shown = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-ww"], input=text, capture_output=True)
    assert (shown.returncode, shown.stderr) == (0, b"")
    lines = [line.split() for line in shown.stdout.decode().splitlines()]
    assert set(COMMANDS) <= {line[0] for line in lines if line}


@pytest.mark.skipif(not shutil.which("lintian"), reason="lintian is missing: apt install lintian")
def test_lintian_finds_no_error(made: Path) -> None:
    """In all but the wheels and their bytecode, which tests/boards/test_kit_package.py shows it."""
    words = ["lintian", "--allow-root", "--show-overrides", str(kits_made.deb(made / "KIT"))]
    said = subprocess.run(words, capture_output=True, text=True)
    assert [line for line in said.stdout.splitlines() if line.startswith("E: ")] == []
    assert "O: emotion-edge: bogus-mail-host" in said.stdout, said.stderr  # it has looked

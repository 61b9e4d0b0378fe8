"""The real wheels of each kit: their libraries fit the target's processor and find what they need there.

What is dependent on has to be in Debian's own lists. Both come from the network; without one, these skip.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.deploy.kit import wheels
from edge.deploy.kit.programs import Programs
from edge.deploy.kit.targets import TARGETS, Target
from edge.errors import EdgeError

pytestmark = pytest.mark.boards
MACHINES = {"arm64": "AArch64", "amd64": "Advanced Micro Devices X86-64"}
# glibc of the system -> what its libstdc++ has: of GCC 12.3, 12.2, 14.2 and 14.2.
GLIBCXX = {35: 30, 36: 30, 39: 33, 41: 33}
# A library of the system -> the package that brings it.
SYSTEM = {
    **dict.fromkeys(("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"), "libc6"),
    **dict.fromkeys(("ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"), "libc6"),
    "libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1", "libz.so.1": "zlib1g",
}  # fmt: skip
SUITES = {"3.11": "bookworm", "3.13": "trixie"}
NOT_DEBIAN = {"python3-picamera2"}  # of Raspberry Pi OS, from its documentation


@dataclass(frozen=True)
class Library:
    """What readelf says about one file."""

    machine: str
    needed: frozenset[str]
    own: tuple[Path, ...]  # folders for what it loads (RUNPATH)
    handed_on: tuple[Path, ...]  # folders for what it loads, and for what that loads (RPATH)
    glibc: int  # 28 is 2.28
    glibcxx: int  # 22 is 3.4.22


def read(path: Path) -> Library:
    words = ["readelf", "--wide", "--file-header", "--dynamic", "--version-info", str(path)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def folders(tag: str) -> tuple[Path, ...]:
        found = re.search(rf"\({tag}\).*\[(.*)\]", said)
        parts = found[1].split(":") if found else []
        return tuple(Path(part.replace("$ORIGIN", str(path.parent))).resolve() for part in parts)

    def newest(name: str) -> int:
        return max(map(int, re.findall(rf"\b{name}\.(\d+)", said)), default=0)

    return Library(
        re.search(r"Machine: +(.+)", said)[1],
        frozenset(re.findall(r"\(NEEDED\).*\[(.+)\]", said)),
        folders("RUNPATH"),
        folders("RPATH"),
        newest("GLIBC_2"),
        newest(r"GLIBCXX_3\.4"),
    )


def asked_of_the_system(
    library: Library, libraries: dict[Path, Library], inherited: tuple[Path, ...] = ()
) -> set[str]:
    """Names that neither it nor what it loads finds among ``libraries``, as ld.so(8) looks for them."""
    handed_on = (*library.handed_on, *inherited)
    asked = set()
    for name in library.needed:
        places = (folder / name for folder in (*handed_on, *library.own))
        if path := next((place for place in places if place in libraries), None):
            asked |= asked_of_the_system(libraries[path], libraries, handed_on)
        else:
            asked.add(name)
    return asked


def is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


# JetPack 6's has most wheels, with libraries that need others of the same wheel.
EACH = [
    pytest.param(
        target,
        id=f"{target.name}-{target.python}",
        marks=[] if target.name == "jetson-jp6" else pytest.mark.slow,
    )
    for target in TARGETS
]


@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf is missing: apt install binutils")
@pytest.mark.parametrize("target", EACH)
def test_each_library_finds_what_it_needs(target: Target, tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    try:
        taken = wheels.fetch(target, tmp_path / "wheels", programs, None, [])
    except EdgeError as error:
        pytest.skip(f"the wheels cannot be fetched: {error!s:.200}")
    wheels.unpack(target, taken, tmp_path / "site", programs)
    libraries = {path: read(path) for path in (tmp_path / "site").resolve().rglob("*") if is_elf(path)}
    assert len(libraries) > 10
    assert {library.machine for library in libraries.values()} == {MACHINES[target.arch]}
    assert [path for path, library in libraries.items() if library.glibc > target.glibc] == []
    assert [path for path, library in libraries.items() if library.glibcxx > GLIBCXX[target.glibc]] == []
    # What lies in NAME.libs is loaded by the modules of Python alone.
    modules = [library for path, library in libraries.items() if path.parent.suffix != ".libs"]
    asked = set().union(*(asked_of_the_system(library, libraries) for library in modules))
    assert asked - SYSTEM.keys() == set()
    depends = {name.partition(" ")[0] for name in target.depending("/dev/video0")[0]}
    assert {SYSTEM[name] for name in asked} <= depends


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES.values())
def test_debian_has_what_a_kit_depends_on(suite: str, tmp_path: Path) -> None:
    there = packages(suite, tmp_path)
    for target in TARGETS:
        if SUITES.get(target.python) == suite:
            for address in ("/dev/video0", *(f"{scheme}://0" for scheme in target.sources)):
                names = {name.partition(" ")[0] for part in target.depending(address) for name in part}
                assert names - there - NOT_DEBIAN == set(), target.name


def packages(suite: str, folder: Path) -> set[str]:
    """All packages for arm64 and amd64 in both, by apt, from the archive that this machine uses."""
    archive = this_archive()
    for part in ("lists/partial", "cache/archives/partial", "none"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "list").write_text(f"deb {archive} {suite} main\n")
    places = {
        "Etc::SourceList": "list", "Etc::SourceParts": "none", "State::Lists": "lists",
        "State::Status": "status", "Cache": "cache",
    }  # fmt: skip
    apt = [f"-oDir::{name}={folder / path}" for name, path in places.items()]
    found = []
    for arch in MACHINES:
        own = [*apt, f"-oAPT::Architecture={arch}", f"-oAPT::Architectures={arch}", "-oAPT::Sandbox::User="]
        done = subprocess.run(["apt-get", *own, "--error-on=any", "update"], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"Debian's archive cannot be read: {done.stderr.strip()[-200:]}")
        said = subprocess.run(["apt-cache", *own, "pkgnames"], capture_output=True, text=True, check=True)
        found.append(set(said.stdout.split()))
    assert all("python3" in names for names in found)
    return set.intersection(*found)


def this_archive() -> str:
    if not shutil.which("apt-get"):
        pytest.skip("apt is missing")
    words = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Identifier: Packages"]
    said = subprocess.run(words, capture_output=True, text=True).stdout
    for line in said.splitlines():
        label, _, address = line.partition(" ")
        if label == "Debian":
            return address
    pytest.skip("this machine has no package lists of Debian")

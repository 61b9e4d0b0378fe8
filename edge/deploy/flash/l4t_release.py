"""Which Jetson Linux a tree holds: several files tell, and they must agree.

What each file says was read in the trees of R35.3.1, R36.2 and R39.2, and of R38.4 in part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash import packages
from edge.deploy.flash.tree_text import text
from edge.errors import ConfigError
from edge.system.device import OLDEST

_BSP = "nv_tegra/bsp_version"
_RELEASE = "nv_tegra/nv_tegra_release"  # R36 and later; the tree of R35.3.1 had none
_ROOTFS = "rootfs/etc/nv_tegra_release"
_LINE = re.compile(r"^# R(\d{1,3}) \(release\), REVISION: (\d{1,3})\.(\d{1,3})")
_CORE = re.compile(r"nvidia-l4t-core_(\d{1,3})\.(\d{1,3})\.(\d{1,3})-\d+_arm64\.deb")


@dataclass(frozen=True, order=True)
class Release:
    """Such as 36.4.3."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"R{self.major}.{self.minor}.{self.patch}"

    @property
    def line(self) -> str:
        """Such as R36, whose scripts are alike."""
        return f"R{self.major}"


# The targets of `kit make`, by the releases whose JetPack they are for (NVIDIA, Jetson Linux archive).
_TARGETS = {"jetson-jp6": (36,), "jetson-jp7": (38, 39)}


def read(tree: Path) -> Release:
    """The release of a tree.

    Raises:
        ConfigError: no tree, two releases mixed, or one that is older than any kit.
    """
    if not tree.is_dir():
        raise ConfigError(f"{tree} is not a folder; name NVIDIA's Linux_for_Tegra with --l4t")
    said = dict(_witnesses(tree))
    if _BSP not in said and _RELEASE not in said:
        raise ConfigError(
            f"{tree} is no Linux_for_Tegra: neither {_BSP} nor {_RELEASE} names a release; "
            "unpack NVIDIA's driver package, and name that folder"
        )
    releases = sorted(set(said.values()))
    if len(releases) > 1:
        told = ", ".join(f"{name} says {release}" for name, release in said.items())
        raise ConfigError(
            f"{tree} mixes releases: {told}; unpack one release afresh, and run its apply_binaries.sh"
        )
    (release,) = releases
    if (release.major, release.minor) < OLDEST:
        raise ConfigError(
            f"{tree} holds {release}, kits are for R{OLDEST[0]}.{OLDEST[1]} (JetPack 6.1) and later; "
            "take a newer driver package from NVIDIA"
        )
    if release.major not in {major for majors in _TARGETS.values() for major in majors}:
        raise ConfigError(f"{tree} holds {release}, which is not known; kits are for R36, R38 and R39")
    return release


def refuse_other_kit(target: str, release: Release) -> None:
    """ConfigError if a kit for ``target`` does not run on ``release``."""
    majors = _TARGETS.get(target)
    if majors is None:
        raise ConfigError(
            f"the kit is for {target or 'a board it does not name'}, the tree is a Jetson's; make one with "
            f"--target {fitting(release)}"
        )
    if release.major not in majors:
        raise ConfigError(
            f"the kit is for {target} (R{', R'.join(map(str, majors))}), the tree holds {release}; make one "
            f"with --target {fitting(release)}, or take NVIDIA's tree of that release"
        )


def fitting(release: Release) -> str:
    """The target whose kit runs on ``release``."""
    return next(name for name, majors in _TARGETS.items() if release.major in majors)


def _witnesses(tree: Path) -> Iterator[tuple[str, Release]]:
    """What tells the release, by name."""
    # Shell, but never run: three lines of it are read.
    numbers = dict(re.findall(r"^BSP_(BRANCH|MAJOR|MINOR)=(\d{1,3})$", text(tree / _BSP), re.MULTILINE))
    if len(numbers) == 3:
        yield _BSP, Release(*(int(numbers[name]) for name in ("BRANCH", "MAJOR", "MINOR")))
    for name in (_RELEASE, _ROOTFS):
        if match := _LINE.match(text(tree / name, follow=name == _RELEASE)):
            yield name, Release(*map(int, match.groups()))
    core = packages.installed(tree / "rootfs").get("nvidia-l4t-core")
    if core and (match := re.match(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})-", core.version)):
        yield packages.STATUS, Release(*map(int, match.groups()))
    for path in sorted((tree / "nv_tegra/l4t_deb_packages").glob("nvidia-l4t-core_*.deb")):
        if match := _CORE.fullmatch(path.name):
            yield f"nv_tegra/l4t_deb_packages/{path.name}", Release(*map(int, match.groups()))

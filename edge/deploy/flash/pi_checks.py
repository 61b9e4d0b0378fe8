"""Whether a kit fits an image of Raspberry Pi OS, and how the image takes its first settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash.pi_look import Installed, Seen
from edge.deploy.kit import targets
from edge.deploy.kit.programs import ProgramFailed, Programs
from edge.errors import ConfigError

CLOUD_INIT, PRESEED, FIRSTRUN = "cloud-init", "rpi-preseed", "firstrun.sh"
FOLDER = "emotion-edge"  # of ours on the boot partition
_DPKG = "sudo apt install dpkg"
_FRESH = "start from an image that is fresh from the download"
# Stages of pi-gen, the builder of the vendor's images, as issue.txt names them.
_DESKTOP_STAGES = ("stage3", "stage4", "stage5")
_DESKTOP_PACKAGES = ("raspberrypi-ui-mods", "lightdm", "labwc", "wayfire", "xserver-xorg")
# What Raspberry Pi Imager, of whatever version, or a person leaves on the boot partition.
_SETTINGS = ("custom.toml", "userconf.txt", "userconf", "wpa_supplicant.conf", "ssh", "ssh.txt")


@dataclass(frozen=True)
class Fields:
    """What the package of a kit says of itself."""

    target: str
    arch: str
    depends: str


def fields(deb: Path, programs: Programs) -> Fields:
    """Read by dpkg-deb; EdgeError for a file that is no package."""
    form = "${Emotion-Edge-Target}\n${Architecture}\n${Depends}\n"
    said = programs.run(["dpkg-deb", "--show", f"--showformat={form}", deb], _DPKG)
    target, arch, depends = said.split("\n")[:3]
    return Fields(target, arch, depends)


def way(seen: Seen) -> tuple[str, str]:
    """How the image takes its first settings, and what on it says so.

    ConfigError for an image that takes none that is known here.
    """
    if "rpi-preseed.toml" in seen.names:
        return PRESEED, "rpi-preseed.toml on the boot partition"
    if "rpi-preseed" in seen.packages:
        return PRESEED, "the package rpi-preseed"
    if "user-data" in seen.names:
        return CLOUD_INIT, "user-data on the boot partition"
    if "cmdline.txt" in seen.names and seen.codename in ("bookworm", "trixie"):
        return FIRSTRUN, f"no user-data on the boot partition of {seen.codename}"
    raise ConfigError(
        f"takes no settings that are known here (system {seen.codename or 'unknown'}, neither user-data nor "
        "cmdline.txt on the boot partition); give Raspberry Pi OS 12 or newer"
    )


def check(seen: Seen, kit: Fields, folder: Path, programs: Programs) -> None:
    """ConfigError, with what was found, for an image that the kit is not for or that is no longer fresh."""
    _system(seen, kit)
    _flavour(seen)
    _fresh(seen)
    for group in (group.strip() for group in kit.depends.split(",") if group.strip()):
        if not any(_met(one.strip(), seen, programs) for one in group.split("|")):
            found = seen.packages.get(re.split(r"[ (]", group)[0])
            raise ConfigError(
                f"has {f'version {found.version}' if found else 'no package'} where the kit needs {group}; "
                "the board will have no network to get it, so take another image or make another kit"
            )


def _system(seen: Seen, kit: Fields) -> None:
    if not seen.codename or not seen.arch:
        raise ConfigError(
            "has a root partition without /usr/lib/os-release or dpkg; give the image of Raspberry Pi OS"
        )
    if seen.arch != kit.arch:
        raise ConfigError(
            f"is {seen.arch}, the kit is for {kit.arch}"
            + ("; take the 64-bit image" if seen.arch == "armhf" else "; make one with another --target")
        )
    systems = [row.system for row in targets.TARGETS if row.name == kit.target]
    if not any(f"({seen.codename})" in system for system in systems):
        raise ConfigError(
            f"is {seen.codename}, the kit is for {' or '.join(systems) or kit.target or 'no known system'}; "
            f"make one with --target pi-{seen.codename}"
        )


def _flavour(seen: Seen) -> None:
    stage = re.search(r"\bstage\d\b", seen.texts.get("issue.txt", ""))
    package = next((name for name in _DESKTOP_PACKAGES if name in seen.packages), "")
    if package or (stage and stage[0] in _DESKTOP_STAGES):
        sign = f"the package {package}" if package else f"{stage[0]} in issue.txt" if stage else ""
        raise ConfigError(
            f"is the desktop ({sign}), whose assistant waits for a person at the first start; "
            "take Raspberry Pi OS Lite"
        )


def _fresh(seen: Seen) -> None:
    cmdline = seen.texts.get("cmdline.txt", "")
    if FOLDER in seen.names:
        raise ConfigError(f"carries a kit already ({FOLDER}/ on the boot partition); {_FRESH}")
    if "firstrun.sh" in seen.names and "user-data" in seen.names:
        raise ConfigError(
            "was customised by Raspberry Pi Imager 1 (firstrun.sh beside user-data), which this system "
            f"silently ignores; {_FRESH}, and use Imager 2"
        )
    signs = [name for name in ("firstrun.sh", *_SETTINGS) if name in seen.names]
    signs += re.findall(r"\bsystemd\.run=\S+|\bds=nocloud\S*", cmdline)
    signs += [f"{key} in user-data" for key in _keys(seen.texts.get("user-data", ""))]
    if re.search(r"^\s*[^\s#]", seen.texts.get("rpi-preseed.toml", ""), re.MULTILINE):
        signs.append("settings in rpi-preseed.toml")
    if signs:
        raise ConfigError(f"was customised already ({signs[0]:.60}); {_FRESH}")
    if re.fullmatch(r"[0-9a-f]{32}", seen.machine_id):
        raise ConfigError(f"has run on a board already (/etc/machine-id is set); {_FRESH}")


def _keys(user_data: str) -> list[str]:
    """Those at the top; pi-gen's own file had ssh_pwauth for a while."""
    return [key for key in re.findall(r"^([A-Za-z_]\w*):", user_data, re.MULTILINE) if key != "ssh_pwauth"]


def _met(one: str, seen: Seen, programs: Programs) -> bool:
    match = re.fullmatch(r"([a-z0-9][a-z0-9+.-]*)(?::\w+)?(?: \((<<|<=|=|>=|>>) ([^)]+)\))?", one)
    if not match:
        return False
    name, relation, wanted = match.groups()
    found = seen.packages.get(name)
    if found is None:
        return not relation and any(name in other.provides for other in seen.packages.values())
    return not relation or _compared(found, relation, wanted, programs)


def _compared(found: Installed, relation: str, wanted: str, programs: Programs) -> bool:
    sign = {"<<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">>": "gt"}[relation]
    try:
        programs.run(["dpkg", "--compare-versions", found.version, sign, wanted], _DPKG)
    except ProgramFailed:
        return False
    return True

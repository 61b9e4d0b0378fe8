"""The packages of a root file system, as dpkg has written them down; see dpkg-query(1) and deb822(5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash.tree_text import text

STATUS = "var/lib/dpkg/status"


@dataclass(frozen=True)
class Package:
    """One row of the database."""

    version: str
    state: str  # "install ok installed" where all is well


def known(root: Path) -> dict[str, Package]:
    """All that the database names; empty without one."""
    found = {}
    for paragraph in text(root / STATUS).split("\n\n"):
        fields = dict(
            line.partition(": ")[::2] for line in paragraph.splitlines() if line.startswith(("P", "S", "V"))
        )
        if "Package" in fields:
            found[fields["Package"]] = Package(fields.get("Version", ""), fields.get("Status", ""))
    return found


def installed(root: Path) -> dict[str, Package]:
    """Those that are unpacked and configured."""
    return {name: package for name, package in known(root).items() if package.state.endswith(" ok installed")}


def unfinished(root: Path) -> list[str]:
    """Those that an interrupted dpkg has left half way."""
    halves = (" half-installed", " unpacked", " half-configured", " triggers-awaited", " triggers-pending")
    return sorted(name for name, package in known(root).items() if package.state.endswith(halves))

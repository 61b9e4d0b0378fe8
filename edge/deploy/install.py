"""``emotion-edge service``: install and remove the systemd service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import edge
from edge.config import Config
from edge.deploy import permissions, unit_files
from edge.deploy.unit_files import UNITS
from edge.deploy.units import NAMES, RETRY, SERVICE, Board, units
from edge.errors import ConfigError, EdgeError

PACKAGED_UNITS = ("usr/lib/systemd/system", "lib/systemd/system")


@dataclass(frozen=True)
class Service:
    """What the service runs, and where it is installed."""

    config: Config
    arguments: tuple[str, ...]  # of `emotion-edge run`
    config_file: Path | None = None
    cpu_percent: int = 150  # of one core
    root: Path = Path("/")
    python: str = sys.executable

    def units(self) -> dict[str, str]:
        """File name -> text of each unit."""
        # Isolated (-I), so that nothing is imported from the service's own writable folder.
        command = (self.python, "-I", "-m", "edge")
        return units(self.config, command, self.arguments, self.cpu_percent, Board.of(self.root))


def print_unit(service: Service) -> None:
    """Print the units that ``install`` would write."""
    print(
        "\n".join(f"# /{UNITS}/{name}\n{text}" for name, text in service.units().items()), end="", flush=True
    )


def install(service: Service) -> None:
    """Write and enable the units, and report each change; running it again changes nothing.

    Raises:
        EdgeError: missing write permission, a foreign file or a package in the way, or a file the service
            cannot read.
    """
    folder = _folder(service.root, "install")
    if _packaged(service.root):
        raise EdgeError(
            "emotion-edge is installed here as a package, whose units these would hide; change "
            "/etc/emotion-edge.toml and restart the service, or: apt-get remove emotion-edge"
        )
    texts = service.units()
    for name in NAMES:
        unit_files.refuse_foreign(folder / name)
    if service.root == Path("/"):
        permissions.check(
            service.config, service.config_file, Path(service.python), Path(edge.__file__).parent
        )
    changed = [unit_files.write(folder / name, text) for name, text in texts.items()]
    changed += [unit_files.remove(folder, name) for name in NAMES if name not in texts]
    changed += [unit_files.link(folder, name) for name in texts if name != RETRY]
    for note in permissions.notes(service.config, service.config_file):
        print(f"note: {note}")
    if _systemd_runs(service.root):
        if any(changed):
            _systemctl("daemon-reload")
        active = _systemctl("show", "--property=ActiveState", "--value", SERVICE).strip() == "active"
        verb = "restart" if active else "start"
        pending = any(changed) or not active
        print(f"starts at boot; next: systemctl {verb} {SERVICE}" if pending else "already running")
    else:
        print("starts at boot (systemd is not running here, so nothing was reloaded)")


def uninstall(root: Path = Path("/")) -> None:
    """Stop the service and remove its units; its data stays. EdgeError without permission."""
    folder = _folder(root, "uninstall")
    names = [name for name in NAMES if unit_files.present(folder, name)]
    for name in names:
        unit_files.refuse_foreign(folder / name)
    if not names and _packaged(root):
        raise EdgeError("emotion-edge is installed here as a package; run: sudo apt-get remove emotion-edge")
    if not names:
        print("nothing is installed")
        return
    if _systemd_runs(root):
        _stop(folder, names)
    for name in names:
        unit_files.remove(folder, name)
    if _systemd_runs(root):
        _systemctl("daemon-reload")
        subprocess.run(["systemctl", "reset-failed", *names], capture_output=True, check=False)
    print("kept: /var/lib/emotion-edge and /var/cache/emotion-edge")


def _folder(root: Path, action: str) -> Path:
    if root == Path("/") and os.geteuid() != 0:
        raise EdgeError(f"{action} needs root: sudo emotion-edge service {action}")
    if not root.is_dir():
        raise ConfigError(f"--root {root} is not a folder; give the root folder of an image")
    return root / UNITS


def _packaged(root: Path) -> bool:
    """Whether a package has brought the units; /lib may be a folder of its own in an old image."""
    return any((root / folder / SERVICE).exists() for folder in PACKAGED_UNITS)


def _systemd_runs(root: Path) -> bool:
    return root == Path("/") and Path("/run/systemd/system").is_dir()


def _stop(folder: Path, names: Sequence[str]) -> None:
    """Stop the units; one whose file is gone may be unknown to systemd, which is not an error."""
    if known := [name for name in names if (folder / name).exists()]:
        _systemctl("stop", *known)
    for name in set(names) - set(known):
        subprocess.run(["systemctl", "stop", name], capture_output=True, check=False)


def _systemctl(*arguments: str) -> str:
    try:
        return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=True).stdout
    except OSError as error:
        raise EdgeError(f"systemctl cannot be run ({error.strerror}); install systemd") from error
    except subprocess.CalledProcessError as error:
        raise EdgeError(f"systemctl {arguments[0]} failed: {error.stderr.strip()}") from error

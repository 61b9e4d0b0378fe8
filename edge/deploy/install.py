"""``emotion-edge service``: the program as a systemd service that starts at boot and stays up."""

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
from edge.deploy.units import NAMES, RETRY, SERVICE, units
from edge.errors import ConfigError, EdgeError

_SHOWN = (
    *("ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "ActiveEnterTimestamp"),
    *("UnitFileState", "StatusText"),
)


@dataclass(frozen=True)
class Service:
    """What the unit runs, and where it is installed."""

    config: Config
    arguments: tuple[str, ...]  # of `emotion-edge run`
    config_file: Path | None = None
    cpu_percent: int = 150  # of one core
    root: Path = Path("/")
    python: str = sys.executable

    def units(self) -> dict[str, str]:
        """File name -> text."""
        # Isolated (-I): the service's own folder, which it can write to, is no place to import from.
        command = (self.python, "-I", "-m", "edge")
        return units(self.config, command, self.arguments, self.cpu_percent, self.root)


def print_unit(service: Service) -> None:
    """Show what ``install`` would write."""
    print(
        "\n".join(f"# /{UNITS}/{name}\n{text}" for name, text in service.units().items()), end="", flush=True
    )


def install(service: Service) -> None:
    """Write the units, enable them, and say what was done; a second time changes nothing.

    Raises:
        EdgeError: no right to write, a file of somebody else in the way, something the service cannot read.
    """
    folder = _folder(service.root, "install")
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
        word = "restart" if active else "start"
        print(f"starts at boot; now: systemctl {word} {SERVICE}" if any(changed) or not active else "runs")
    else:
        print("starts at boot (no systemd runs here, so nothing was reloaded)")


def uninstall(root: Path = Path("/")) -> None:
    """Stop the service and remove what ``install`` wrote; its data stays. EdgeError where it may not."""
    folder = _folder(root, "uninstall")
    names = [name for name in NAMES if unit_files.standing(folder, name)]
    for name in names:
        unit_files.refuse_foreign(folder / name)
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


def status() -> None:
    """What systemd knows of the service, in a few lines; EdgeError where systemd does not answer."""
    if not (Path("/") / UNITS / SERVICE).exists():
        print(f"{SERVICE} is not installed; sudo emotion-edge service install")
        return
    if not _systemd_runs(Path("/")):
        print(f"{SERVICE} is installed; no systemd runs here")
        return
    lines = _systemctl("show", f"--property={','.join(_SHOWN)}", SERVICE).splitlines()
    facts = dict(line.partition("=")[::2] for line in lines)
    print(f"state      {facts['ActiveState']} ({facts['SubState']}), at boot: {facts['UnitFileState']}")
    print(f"since      {facts['ActiveEnterTimestamp'] or 'never ready'}")
    print(f"restarts   {facts['NRestarts']}, last: {facts['Result']}, exit {facts['ExecMainStatus']}")
    if facts["StatusText"]:
        print(f"says       {facts['StatusText']}")
    if facts["ActiveState"] == "failed":
        print(f"degraded   tries again within five minutes; why: journalctl -u {SERVICE}")


def _folder(root: Path, action: str) -> Path:
    if root == Path("/") and os.geteuid() != 0:
        raise EdgeError(f"{action} needs root: sudo emotion-edge service {action}")
    if not root.is_dir():
        raise ConfigError(f"--root {root} is no folder; name the root folder of an image")
    return root / UNITS


def _systemd_runs(root: Path) -> bool:
    return root == Path("/") and Path("/run/systemd/system").is_dir()


def _stop(folder: Path, names: Sequence[str]) -> None:
    """Stop what runs; a unit whose file is gone may be unknown to systemd, which is no fault."""
    if known := [name for name in names if (folder / name).exists()]:
        _systemctl("stop", *known)
    for name in set(names) - set(known):
        subprocess.run(["systemctl", "stop", name], capture_output=True, check=False)


def _systemctl(*words: str) -> str:
    try:
        return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=True).stdout
    except OSError as error:
        raise EdgeError(f"systemctl cannot be run ({error.strerror}); install systemd") from error
    except subprocess.CalledProcessError as error:
        raise EdgeError(f"systemctl {words[0]} failed: {error.stderr.strip()}") from error

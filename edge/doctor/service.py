"""The service: its state in systemd, and what its health file says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.doctor.machine import RUN, SERVICE, Machine
from edge.system import strict_json
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding, not_looked_at
from edge.system.one_line import one_line

UNITS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
LATE_S = 15.0  # three times the interval at which the health file is written
_SILENT_S = 10.0
_SHOWN = (
    *("ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "ActiveEnterTimestamp"),
    *("UnitFileState", "StatusText"),
)
_INSTALL = "sudo emotion-edge service install -c FILE"
_KIT = "install a kit: emotion-edge kit make"  # service install makes no units for further cameras


def installed(machine: Machine) -> bool:
    """Whether the unit is there, written by `service install` or unpacked from a package."""
    unit = SERVICE.replace(".", "@.") if machine.name else SERVICE
    return any(machine.exists(f"{folder}/{unit}") for folder in UNITS)


def properties(machine: Machine) -> dict[str, str]:
    """What systemd says about the service; empty where it does not run or answer."""
    if not machine.exists("run/systemd/system"):
        return {}
    said = machine.said("systemctl", "show", f"--property={','.join(_SHOWN)}", machine.unit) or ""
    return dict(line.partition("=")[::2] for line in said.splitlines())


def look(machine: Machine) -> Iterator[Finding]:
    """Whether it is installed, runs, and gets frames."""
    if not installed(machine):
        yield Finding(
            "service", NOTE, f"{machine.unit} is not installed", _INSTALL if not machine.name else _KIT
        )
        return
    if not machine.live:
        wanted = list(machine.found(f"etc/systemd/system/*.wants/{machine.unit}"))
        at_boot = "starts at boot" if wanted else "does not start at boot"
        fix = "" if wanted else f"sudo systemctl enable {machine.unit}"
        yield Finding("service", OK if wanted else WARNING, f"{machine.unit} {at_boot}", fix)
        return
    if not (told := properties(machine)):
        yield not_looked_at("service", f"{machine.unit} is installed; systemd, which does not run here,")
    elif told.get("ActiveState") == "failed":
        text = f"failed: {told.get('Result')}, exit {told.get('ExecMainStatus')}"
        yield Finding("service", FAULT, text, f"journalctl -u {machine.unit} -e")
    elif told.get("ActiveState") != "active":
        yield Finding(
            "service", WARNING, f"it is {told.get('ActiveState')}", f"sudo systemctl start {machine.unit}"
        )
    else:
        yield Finding("service", OK, told.get("StatusText") or "it runs")


def health(machine: Machine) -> Iterator[Finding]:
    """Frames come, and the figures are fresh, where a service runs."""
    for path in health_files(machine):
        figures, age_s = read_health(path)
        silent_s = figures.get("last_frame_s")
        if machine.live and age_s > LATE_S:
            text = f"{path} was last written {age_s:.0f} s ago: the program hangs, or was killed"
            yield Finding("health", FAULT, text, f"sudo systemctl restart {_unit_of(path)}")
        elif isinstance(silent_s, int | float) and silent_s > _SILENT_S:
            yield Finding(
                "health", FAULT, f"no frame for {silent_s:.0f} s", "check the camera's cable and power"
            )
        elif figures.get("up_s") and not figures.get("frames"):
            yield Finding(
                "health", FAULT, "it runs, but no frame came yet", f"journalctl -u {_unit_of(path)} -e"
            )
        elif figures:
            yield Finding("health", OK, line(path, figures, age_s))


def health_files(machine: Machine) -> list[Path]:
    """The health files of running services, the first one's first."""
    named = [one.config.output.health for one in (machine, *machine.others)]
    paths = [machine.named(name) for name in named if name and not name.isdigit()]
    paths += [*machine.found(f"{RUN}/health.json"), *machine.found(f"{RUN}-*/health.json")]
    paths += machine.found(f"{RUN}/*/health.json")
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def read_health(path: Path) -> tuple[dict[str, Any], float]:
    """The figures in a health file, {} if it is damaged, and its age in seconds."""
    try:
        age_s = max(time.time() - path.stat().st_mtime, 0.0)
        with path.open("rb") as file:
            figures = strict_json.loads(file.read(1 << 20))
    except (OSError, ValueError):
        return {}, 0.0
    return (figures, age_s) if isinstance(figures, dict) else ({}, age_s)


def line(path: Path, figures: dict[str, Any], age_s: float) -> str:
    """One line about a running service, from the figures of its health file."""
    name = path.parent.name.removeprefix("emotion-edge").removeprefix("-")
    if age_s > LATE_S:
        return f"{name or 'the service'} wrote no figures for {age_s:.0f} s: it hangs, or was killed"
    load, engine = figures.get("load"), figures.get("engine")
    celsius = load.get("celsius") if isinstance(load, dict) else None
    parts = [
        f"{name + ' ' if name else ''}up {_duration(figures.get('up_s'))}",
        f"{_number(figures.get('fps'), '.1f')} frames/s",
        f"last frame {_number(figures.get('last_frame_s'), '.1f')} s ago",
        *([engine] if isinstance(engine, str) else []),
        *_building(figures.get("building")),
        *([f"{celsius:.0f} °C"] if isinstance(celsius, int | float) else []),
    ]
    return one_line(", ".join(parts)[:200])


def _unit_of(path: Path) -> str:
    """The service that writes a health file: a further camera's folder is emotion-edge-NAME."""
    start, _, name = path.parent.name.partition("emotion-edge-")
    return SERVICE.replace(".", f"@{name}.") if name and not start else SERVICE


def _building(told: Any) -> list[str]:
    """How far the engine is that is being built beside the service."""
    if not isinstance(told, dict) or not isinstance(told.get("percent"), int):
        return []
    return [f"building the {told.get('precision')} engine: {told['percent']} %"]


def health_lines(machine: Machine) -> list[str]:
    """One line for each running service; one that says that none runs."""
    lines = [line(path, *read_health(path)) for path in health_files(machine)]
    port = machine.config.output.health
    if not lines and port.isdecimal():
        return [f"its figures are at http://127.0.0.1:{port}/health"]
    return lines or ["no service runs"]


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float) or not 0 <= seconds < 1e10:
        return "for an unknown time"
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "?"


def print_status(machine: Machine) -> None:
    """Print the service's state in systemd, for `service status`."""
    if not installed(machine):
        print(f"{SERVICE} is not installed; run: sudo emotion-edge service install")
        return
    if not (told := properties(machine)):
        print(f"{SERVICE} is installed; systemd is not running here")
        return
    shown = {name: one_line(told.get(name, "")) for name in _SHOWN}
    print(f"state      {shown['ActiveState']} ({shown['SubState']}), at boot: {shown['UnitFileState']}")
    print(f"since      {shown['ActiveEnterTimestamp'] or 'never ready'}")
    print(f"restarts   {shown['NRestarts']}, last: {shown['Result']}, exit {shown['ExecMainStatus']}")
    if shown["StatusText"]:
        print(f"status     {shown['StatusText']}")
    if shown["ActiveState"] == "failed":
        print(f"failed     will be retried within five minutes; for the reason: journalctl -u {SERVICE}")


def processes(machine: Machine) -> set[int]:
    """Process numbers of our services, by their control groups."""
    ours = set()
    for path in machine.found("proc/[0-9]*/cgroup"):
        if re.search(r"/emotion-edge(?:@[^/\n]*)?\.service", machine.text(f"proc/{path.parent.name}/cgroup")):
            ours.add(int(path.parent.name))
    return ours

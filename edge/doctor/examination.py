"""Runs the checks, each for a limited time; one that fails itself is a finding, too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from edge import config_file
from edge.config import Config
from edge.doctor.checks import CHECKS, Check
from edge.doctor.machine import SETTINGS, Machine, further_cameras
from edge.errors import EdgeError, reason
from edge.system.finding import WARNING, Finding
from edge.system.waiting import result_of

QUICK_S = 0.5  # for a check of `status`


def examine(
    root: Path = Path("/"),
    config: Config | None = None,
    settings: Path | None = None,
    names: Collection[str] = (),
    quick: bool = False,
) -> list[Finding]:
    """Look at a machine, and return what was found, in the order of the checks; nothing is raised.

    Args:
        root: "/", or the tree of another machine, of which files are read and nothing is run.
        config: the settings; by default they are read from ``settings``.
        settings: their file; by default /etc/emotion-edge.toml of that machine, if it has one, and those of
            further cameras.
        names: of the checks that are wanted; by default all.
        quick: only what takes a moment: no camera, no child process.
    """
    return examine_machine(read_machine(root, config, settings), names, quick)


def examine_machine(machine: Machine, names: Collection[str] = (), quick: bool = False) -> list[Finding]:
    """``examine`` for a machine whose settings were read."""
    wanted = [check for check in CHECKS if (not names or check.name in names) and (check.quick or not quick)]
    return [finding for check in wanted for finding in _of_each(check, machine, quick)]


def read_machine(root: Path, config: Config | None = None, settings: Path | None = None) -> Machine:
    """The machine with its settings, or with why they cannot be read."""
    machine = Machine(root, config, settings)
    if settings is None and machine.exists(SETTINGS):
        machine.settings = machine.path(SETTINGS)
    if config is None and machine.settings is not None:
        _read_settings(machine)
    if config is None and settings is None:
        for name in further_cameras(machine):
            path = machine.path(f"etc/emotion-edge/{name}.toml")
            other = Machine(root, settings=path, name=name)
            _read_settings(other)
            machine.others.append(other)
    return machine


def _read_settings(machine: Machine) -> None:
    try:
        machine.config = config_file.load(machine.settings)
    except EdgeError as error:
        machine.fault = error


def _of_each(check: Check, machine: Machine, quick: bool) -> list[Finding]:
    """What a check finds, and what else it finds with the settings of each further camera."""
    found = _looked(check, machine, quick)
    further = [
        replace(finding, text=f"{other.unit.removesuffix('.service')}: {finding.text}")
        for other in (machine.others if check.each else [])
        for finding in _looked(check, other, quick)
        if finding not in found
    ]
    return found + further


def _looked(check: Check, machine: Machine, quick: bool) -> list[Finding]:
    patience_s = QUICK_S if quick else check.patience_s
    try:
        return result_of(lambda: list(check.look(machine)), patience_s)
    except TimeoutError:
        text = f"the look at {check.about} did not end within {patience_s:g} s"
        return [Finding(check.name, WARNING, text, "look again; if it stays, restart the board")]
    except Exception as error:  # a check never ends the examination
        text = f"the look at {check.about} failed ({type(error).__name__}: {reason(error)[:200]})"
        return [Finding(check.name, WARNING, text, "emotion-edge doctor --bundle report.tar.gz")]

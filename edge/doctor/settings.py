"""Source, outputs, bundle and face detector: what can be told before anything is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge import bundle as bundles
from edge.capture import sources
from edge.capture.addresses import node_of
from edge.deploy import permissions
from edge.doctor.machine import KIT, Machine
from edge.errors import EdgeError
from edge.faces import detectors
from edge.faces.fetch import YUNET_NAME, cached_detector
from edge.sinks import outputs
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding, of_error

_REFERENCE = "lib/python3*/site-packages/edge/models/reference"


def parts(machine: Machine) -> Iterator[Finding]:
    """Whether source and outputs of the settings exist, and the service can read its files."""
    config, file = machine.config, machine.settings
    try:
        sources.find(config.source.address)
        outputs.wanted(config.output)
        if machine.live and file is not None:
            permissions.check(config, file)
    except EdgeError as error:
        yield of_error("parts", FAULT, error, other="emotion-edge config reference")
        return
    for told in permissions.notes(config, file) if file is not None else ():
        text, _, fix = told.partition("; ")
        yield Finding("parts", WARNING if "password" in text else NOTE, text, fix)


def shared(machine: Machine) -> Iterator[Finding]:
    """What two services cannot both have: a camera that one program reads, a place for the health."""
    first: dict[str, str] = {}
    for one in (machine, *machine.others):
        address, health = one.config.source.address, one.config.output.health
        own = address if address.startswith(("csi:", "picam:")) else str(node_of(address) or "")
        for what in (f"camera {own}" if own else "", f"health {health}" if health else ""):
            if what and first.setdefault(what, one.unit) != one.unit:
                text = f"{one.unit} and {first[what]} have the same {what}"
                yield Finding("shared", FAULT, text, f"give each its own, in {one.settings}")


def bundle(machine: Machine) -> Iterator[Finding]:
    """Whether every file of the bundle has its hash."""
    try:
        found = bundles.load(bundle_folder(machine), limits=machine.config.limits)
    except EdgeError as error:
        fix = "install the package again" if not machine.config.bundle.path else ""
        yield of_error("bundle", FAULT, error, fix, "emotion-edge config print")
        return
    yield Finding("bundle", OK, f"{found.manifest.name} {found.manifest.version}, all hashes match")


def bundle_folder(machine: Machine) -> Path | None:
    """The folder that the settings name, else the reference of a tree's kit; None: that of this program."""
    if machine.config.bundle.path:
        return machine.named(machine.config.bundle.path)
    kit = [] if machine.live else list(machine.found(f"{KIT}/{_REFERENCE}"))
    return kit[0] if kit else None


def detector(machine: Machine) -> Iterator[Finding]:
    """Whether the face detector's file is where the program looks for it."""
    settings = machine.config.detector
    fetch = f"sudo env XDG_CACHE_HOME=/{machine.cache} emotion-edge fetch, or set detector.model"
    fetch = "emotion-edge fetch" if machine.settings is None else fetch
    try:
        model = _model(machine)
    except EdgeError as error:
        yield of_error("detector", FAULT, error)
        return
    cached = cached_detector() if machine.live else None
    if settings.kind == "haar":
        yield Finding("detector", NOTE, "haar is set, which finds fewer faces", "set detector.kind to auto")
    elif model is not None and os.access(model, os.R_OK):
        yield Finding("detector", OK, str(model))
    elif model is not None:
        yield Finding("detector", FAULT, f"detector.model is {model}, which cannot be read", fetch)
    elif cached is not None and machine.settings is None:
        yield Finding("detector", OK, str(cached))
    elif cached is not None:
        text = f"YuNet is in this user's cache ({cached}), which no service sees"
        yield Finding("detector", WARNING, text, "copy it where all users can read, and set detector.model")
    else:
        yield Finding(
            "detector",
            WARNING,
            "no YuNet file: the Haar cascade finds fewer faces and more false ones",
            fetch,
        )


def _model(machine: Machine) -> Path | None:
    """What the settings name, else the bundle's own, else that in the service's cache."""
    if machine.config.detector.model:
        return machine.named(machine.config.detector.model)
    folder = bundle_folder(machine) or bundles.REFERENCE
    if os.path.lexists(folder / YUNET_NAME):
        return detectors.model_for(machine.config.detector, folder)
    own = machine.path(f"{machine.cache}/emotion-edge/{YUNET_NAME}")
    return own if own.is_file() else None

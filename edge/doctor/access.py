"""Who may open cameras and GPU: groups, device rules, and the socket of NVIDIA's camera daemon."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from edge.doctor import board
from edge.doctor.machine import Machine
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding

_GROUPS = ("video", "render")  # those of the service, see edge.deploy.units.groups
# Nodes that the service opens; those of a GPU exist only where its driver runs.
_NODES = ("video[0-9]*", "media[0-9]*", "dma_heap/*", "dri/render*", "vcio", "nvmap", "nvhost-*")
_RULES = ("etc/udev/rules.d/*.rules", "usr/lib/udev/rules.d/*.rules", "lib/udev/rules.d/*.rules")
_VIDEO = re.compile(r'^[^#\n]*video4linux[^#\n]*GROUP="?:?=?"?video', re.MULTILINE)
_TAKE = "sudo usermod -aG video,render $USER, then log in again"


def groups(machine: Machine) -> Iterator[Finding]:
    """The groups exist, and this user may open what there is."""
    rows = [line.split(":") for line in machine.text("etc/group").splitlines()]
    present = {
        row[0]: int(row[2]) for row in rows if len(row) > 2 and row[2].isdecimal() and len(row[2]) < 11
    }
    if "video" not in present:
        yield Finding(
            "groups", WARNING, "there is no group video, to which cameras belong", "sudo groupadd -r video"
        )
    if not machine.live:
        return
    nodes = _nodes(machine)
    closed = [str(path) for path in nodes if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        text = f"this user may not open {', '.join(closed[:3])}{' ...' * (len(closed) > 3)}"
        yield Finding("groups", WARNING, text, _TAKE)
    else:
        yield Finding(
            "groups", OK, "this user may open every camera and GPU" if nodes else "no camera, no GPU"
        )


def devices(machine: Machine) -> Iterator[Finding]:
    """Cameras belong to a group of the service: by the rules of udev, and in fact."""
    rules = [
        machine.text(os.path.relpath(path, machine.root)) for kind in _RULES for path in machine.found(kind)
    ]
    if not any(_VIDEO.search(text) for text in rules):
        yield Finding(
            "devices",
            WARNING if rules else NOTE,
            "no rule of udev gives cameras to the group video" if rules else "there are no rules of udev",
            "sudo apt install --reinstall udev",
        )
    elif not machine.live:
        yield Finding("devices", OK, "udev gives cameras to the group video")
    if not machine.live:
        return
    known = _gids(machine)
    for path in _nodes(machine):
        status = path.stat()
        open_to_all = status.st_mode & stat.S_IROTH and status.st_mode & stat.S_IWOTH
        if not (open_to_all or (status.st_gid in known and status.st_mode & stat.S_IWGRP)):
            mode = f"group {status.st_gid}, mode {stat.S_IMODE(status.st_mode):o}"
            text = f"the service may not open {path} ({mode})"
            yield Finding("devices", WARNING, text, "sudo udevadm control --reload; sudo udevadm trigger")


def _nodes(machine: Machine) -> list[Path]:
    return [path for pattern in _NODES for path in machine.found(f"dev/{pattern}")]


def _gids(machine: Machine) -> set[int]:
    rows = [line.split(":") for line in machine.text("etc/group").splitlines()]
    return {int(row[2]) for row in rows if len(row) > 2 and row[0] in _GROUPS and row[2].isdecimal()}


def argus(machine: Machine) -> Iterator[Finding]:
    """The daemon that serves CSI cameras of a Jetson, where one is set."""
    if not machine.config.source.address.startswith("csi:"):
        return
    start = "sudo systemctl enable --now nvargus-daemon"
    if not board.is_jetson(machine):
        text = f"{machine.config.source.address} is a camera of a Jetson, and this is none"
        yield Finding("argus", FAULT, text, "set source.address to a camera of this board")
    elif machine.live:
        path = machine.path("tmp/argus_socket")
        there = path.exists() and stat.S_ISSOCK(path.stat().st_mode)
        told = "the daemon for CSI cameras answers at" if there else "no daemon for CSI cameras: there is no"
        yield Finding("argus", OK if there else FAULT, f"{told} {path}", "" if there else start)
    else:
        wanted = list(machine.found("etc/systemd/system/*.wants/nvargus-daemon.service"))
        told = "starts at boot" if wanted else "does not start at boot"
        yield Finding("argus", OK if wanted else FAULT, f"nvargus-daemon {told}", "" if wanted else start)

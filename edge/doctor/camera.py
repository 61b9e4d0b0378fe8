"""The camera: is it there, who holds it, and what does it deliver.

It is read in a child process, as a run does after a hang: that can be killed, whatever its driver does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edge.capture import sources
from edge.capture.addresses import available_cameras, node_of, without_password
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.capture.regular_file import shown
from edge.config import SourceConfig
from edge.data import Frame
from edge.doctor import service
from edge.doctor.machine import Machine
from edge.errors import EdgeError, SourceError
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding, not_looked_at, of_error

Opener = Callable[[SourceConfig], ChildSource]
PATIENCE_S = 15.0  # for the first frame: connecting to a network camera is slow
_FRAMES, _SECONDS = 30, 1.5  # what is read to know the rate
_SLOW_HZ, _BLACK = 8.0, 8.0


def look(machine: Machine, opens: Opener = ChildSource, patience_s: float = PATIENCE_S) -> Iterator[Finding]:
    """Open the camera of the settings, unless our own service reads it, and measure what it delivers.

    ``opens`` begins to read it in a child process; ``patience_s`` is for the first frame.
    """
    address = machine.config.source.address
    try:
        live = sources.find(address).live
    except EdgeError:
        return  # the settings say why
    name = shown(without_password(address))
    if address == "demo":
        yield Finding("camera", NOTE, f"no source is set; {available_cameras()}", "set source.address")
    elif not live:
        there = machine.named(address).exists()
        text = f"the source {name} is a recording" if there else f"{name} does not exist"
        yield Finding("camera", NOTE if there else FAULT, text, "" if there else "set source.address")
    elif not machine.live:
        yield not_looked_at("camera", name)
    else:
        yield from _look_at(name, machine, opens, patience_s)


def _look_at(name: str, machine: Machine, opens: Opener, patience_s: float) -> Iterator[Finding]:
    node, ours = node_of(machine.config.source.address), service.processes(machine)
    if node is not None and not node.exists():
        error = SourceError(f"camera {node} does not exist; {available_cameras()}")
        yield of_error(
            "camera", FAULT, error, "plug it in, or set source.address to its link in /dev/v4l/by-id"
        )
        return
    if ours:
        yield Finding("camera", OK, f"{name} is left to the service, which runs")
        return
    try:
        settings = replace(machine.config.source, color=False, draw=False)
        frames, codec = _read(node, settings, opens, patience_s)
        yield _delivered(name + codec, settings, frames)
    except EdgeError as error:
        holders = held_by(node, machine) if node is not None else ""
        yield of_error("camera", FAULT, error)
        if holders:
            yield Finding("camera", NOTE, f"{node} is held by {holders}", "end that program")


def _delivered(name: str, settings: SourceConfig, frames: list[Frame]) -> Finding:
    height, width = frames[0].image.shape[:2]
    span_s = frames[-1].timestamp_s - frames[0].timestamp_s
    # Frames of a slow reader are replaced by newer ones; the index counts those, too.
    rate = (frames[-1].index - frames[0].index) / span_s if span_s > 0 else 0.0
    text = f"{name}: {width}x{height} pixels, {rate:.1f} frames/s"
    if frames[-1].image.mean() < _BLACK:
        return Finding("camera", WARNING, f"{text}, black", "uncover the lens, or add light")
    if settings.fps and rate < 0.8 * settings.fps:
        return Finding(
            "camera", WARNING, f"{text}, of {settings.fps:g} asked for", "ask for a smaller picture"
        )
    if rate < _SLOW_HZ:
        return Finding("camera", WARNING, f"{text}, which is slow", "add light, or ask for a smaller picture")
    return Finding("camera", OK, text)


def _read(
    node: Path | None, settings: SourceConfig, opens: Opener, patience_s: float
) -> tuple[list[Frame], str]:
    """About a second of frames, and the camera's format while they come; SourceError without any."""
    child = opens(settings)
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(EdgeError):  # it survives, its driver hangs: reading ends all the same
            child.kill()

    timer = threading.Timer(patience_s, end)
    timer.start()
    frames: list[Frame] = []
    try:
        with child:
            for frame in child.frames():
                timer.cancel()
                frames.append(frame)
                if len(frames) == _FRAMES or frame.timestamp_s - frames[0].timestamp_s > _SECONDS:
                    break
            return frames, _format(node)
    except SourceError:
        if late.is_set():
            raise SourceError(
                f"camera {shown(without_password(settings.address))} gave no frame within {patience_s:g} s; "
                "check its cable and power"
            ) from None
        if not frames:
            raise
        return frames, ""  # it stopped; what came is told
    finally:
        timer.cancel()


def _format(node: Path | None) -> str:
    if node is None:
        return ""
    from edge.capture.raw_frames import current_format

    found = current_format(node)
    return f" ({found[2]})" if found else ""


def held_by(node: Path, machine: Machine) -> str:
    """Programs that have ``node`` open, "v4l2-ctl (process 412)"; a word if others' are not shown to us."""
    target, holders, hidden = os.path.realpath(node), [], False
    for folder in machine.found("proc/[0-9]*/fd"):
        number = folder.parent.name
        try:
            held = any(os.readlink(entry) == target for entry in folder.iterdir())
        except PermissionError:
            hidden = True
            continue
        except OSError:  # it ended meanwhile
            continue
        if held and int(number) != os.getpid():
            holders.append(f"{machine.word(f'proc/{number}/comm') or 'a program'} (process {number})")
    return ", ".join(holders) or ("somebody whom only root sees: run as root" if hidden else "")

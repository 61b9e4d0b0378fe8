"""The first load of a network on this machine, in a child process: what it does wrong happens there.

ONNX Runtime is a large library in C++, and an ONNX file a program for it: a file that nobody has seen may
take all memory, never end, or crash the process that loads it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from edge.bundle import Bundle
from edge.engines.golden import Verdict
from edge.engines.records import verdict_from
from edge.errors import BundleError, EdgeError, reason
from edge.system import signals
from edge.system.background import Background
from edge.system.notify import Supervisor
from edge.system.one_line import one_line

# How closely a precision reproduces golden.npz on the processor, or only its first sequences: brief.
Admit = Callable[[Bundle, str, bool], Verdict]
_COMMAND = ("-m", "edge.engines.admission_command")
_BEAT_S = 1.0
_MOST_WORDS = 600  # characters of an error


def admit(bundle: Bundle, precision: str, brief: bool = False, resting: bool = False) -> Verdict:
    """Load ``precision`` in a child with limits on memory and time, and compare it with golden.npz there.

    ``brief``: only the first eight sequences are compared, of the 64 that the export writes. ``resting``: the
    child rests after each step, so that a run beside it is not slowed down. A bundle without golden.npz
    passes if its float32 network gives finite numbers. Raises BundleError if the network cannot be loaded,
    crashes, takes too much, or is not what the manifest describes; EdgeError if no child can be started.
    """
    model, most_s = bundle.model(precision), bundle.limits.load_s
    request = {
        "folder": str(bundle.folder.absolute()),
        "manifest": bundle.manifest.to_dict(),
        "limits": asdict(bundle.limits),
        "precision": precision,
        "resting": resting,
        "brief": brief,
    }
    try:
        child = Background([sys.executable, *_COMMAND], json.dumps(request), _environment(), urgent=True)
    except OSError as error:
        raise EdgeError(
            f"{model} cannot be checked: no child process starts ({reason(error)}); "
            "allow this user more processes and memory"
        ) from error
    try:
        if not _ended(child, most_s):
            raise BundleError(
                f"{model} did not finish its first steps within {most_s:g} s; export a smaller network, or "
                "set a higher limits.load_s"
            )
        return _verdict(child, str(model))
    finally:
        child.stop(0)


def _ended(child: Background, most_s: float) -> bool:
    """Wait for a child's end; whether it came within ``most_s`` seconds.

    A signal ends the wait at once. A supervisor is told that it goes on, or a large network on a slow board
    would be killed and tried again for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        return child.wait(most_s)
    supervisor, end = Supervisor(), time.monotonic() + most_s
    with signals.released():
        while not child.wait(max(0.0, min(_BEAT_S, end - time.monotonic()))):
            if time.monotonic() >= end:
                return False
            supervisor.busy(5 * _BEAT_S)
    return True


def _environment() -> dict[str, str]:
    """This process's, with one thread for each library, and without what speaks to a supervisor."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"} | threads


def _verdict(child: Background, model: str) -> Verdict:
    """What a child found that has ended; BundleError with its words if it failed."""
    code = child.returncode or 0
    if code == 2:
        raise BundleError(one_line(child.fault())[:_MOST_WORDS])
    if code:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code} ({child.fault()})"
        raise BundleError(
            one_line(f"the process that tried {model} {how}"[:_MOST_WORDS]) + "; export the bundle again"
        )
    try:
        return verdict_from(child.output())
    except ValueError as error:
        raise BundleError(f"the process that tried {model} gave no verdict ({error})") from error

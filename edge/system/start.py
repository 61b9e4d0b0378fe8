"""What every program does first. Imports little, because a signal before it ends the process untidily."""

from __future__ import annotations

import atexit
import os
import sys

from edge.system import signals, standard_streams


def program() -> None:
    """Take over the ending signals, open what is closed of the standard streams, write no bytecode."""
    signals.install()
    atexit.register(signals.ignore)
    standard_streams.keep_open()
    atexit.register(standard_streams.finish)
    # A program leaves nothing beside its outputs and its cache. pip has compiled the modules.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # of its children

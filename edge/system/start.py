"""What every program does first. Imports little, because a signal before it ends the process untidily."""

from __future__ import annotations

import atexit

from edge.system import signals, standard_streams


def program() -> None:
    """Take over the ending signals and open what is closed of the standard streams."""
    signals.install()
    atexit.register(signals.ignore)
    standard_streams.keep_open()

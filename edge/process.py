"""Child processes: where they start, and that they end with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# Python looks for modules in the current folder first: children start where this package lies, so that a
# folder named "edge" at the user's place is not taken for it.
START = Path(__file__).resolve().parents[1]
_PDEATHSIG = 1  # PR_SET_PDEATHSIG of prctl(2)


def die_with_parent() -> None:
    """Where the parent is killed, nobody else would end this process."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)

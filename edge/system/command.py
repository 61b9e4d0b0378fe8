"""How every command of this package ends.

0 done, 2 a fault the user can mend, 75 "restart me" (EX_TEMPFAIL of sysexits.h), 130 interrupted.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable

from edge.errors import EdgeError
from edge.system import journal

log = logging.getLogger("edge")


def finish(name: str, work: Callable[[], None], interrupted: str) -> int:
    """Do ``work`` and return the exit code; a fault is one line on stderr, never a traceback.

    A service manager's SIGTERM ends a command as Ctrl-C does, with everything closed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except EdgeError as error:
        mark = journal.prefix(logging.ERROR) if journal.to_journal(sys.stderr) else ""
        print(f"{mark}{name}: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a disk that is full, a folder that takes no files
        log.debug("what follows is the fault as Python tells it", exc_info=True)
        print(f"{name}: error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted; {interrupted}", file=sys.stderr)
        return 130
    return 0

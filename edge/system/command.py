"""Error handling and exit codes shared by all commands.

0 done, 2 an error the user can fix, 75 request for a restart (EX_TEMPFAIL of sysexits.h), 130 interrupted.
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
    """Run ``work`` and return the exit code; an error is one line on stderr, never a traceback.

    SIGTERM from a service manager ends a command like Ctrl-C, with everything closed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except EdgeError as error:
        mark = journal.prefix(logging.ERROR) if journal.to_journal(sys.stderr) else ""
        print(f"{mark}{name}: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # such as a full disk or a read-only folder
        log.debug("operating system error", exc_info=True)
        print(f"{name}: error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted; {interrupted}", file=sys.stderr)
        return 130
    return 0

"""Start, error handling and exit codes of all programs.

0 done, 2 an error the user can fix, 75 request for a restart (EX_TEMPFAIL of sysexits.h), 130 interrupted by
Ctrl-C, SIGTERM or SIGHUP.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from edge.errors import EdgeError
from edge.system import journal, signals, standard_streams, start
from edge.system.one_line import one_line

log = logging.getLogger("edge")


def finish(name: str, work: Callable[[], int | None], interrupted: str) -> int:
    """Run ``work`` and return its exit code or 0; an error is one line on stderr, never a traceback.

    ``interrupted`` says what an interrupted command has left, unless ``signals.leave`` said otherwise. An
    interrupt that was noted when the work was already done counts, too.
    """
    if not signals.installed():
        start.program()
    try:
        with signals.raising():
            code = work() or 0
        sys.stdout.flush()  # here a fault can still be told
    except EdgeError as error:
        standard_streams.drop_unwritten()
        mark = journal.prefix(logging.ERROR) if journal.to_journal(sys.stderr) else ""
        _say(f"{mark}{name}: error: {one_line(str(error))}")
        return error.exit_code
    except BrokenPipeError:  # such as `emotion-edge config print | head`
        standard_streams.forget_stdout()
        return 0
    except OSError as error:  # such as a full disk or a read-only folder
        log.debug("operating system error", exc_info=True)
        standard_streams.drop_unwritten()
        text = f"{error.filename or 'a file'}: {error.strerror or error}"
        _say(f"{name}: error: {one_line(text)}")
        return 2
    except KeyboardInterrupt:
        return _interrupted(name, interrupted)
    return _interrupted(name, "all work was done") if signals.pending() else code


def _interrupted(name: str, left: str) -> int:
    standard_streams.drop_unwritten()
    _say(f"\n{name}: interrupted; {signals.left() or left}")
    return 130


def _say(text: str) -> None:
    """Write a line to standard error, whose reader may have gone."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)

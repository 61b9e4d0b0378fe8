"""Start of ``emotion-edge``, which takes over the signals before the large imports."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.system import start


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see edge.cli.program."""
    start.program()
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in ("doctor", "status"):
        from edge.cli import first_aid

        return first_aid.main(words)
    from edge.cli import program

    return program.main(argv)


if __name__ == "__main__":
    sys.exit(main())

"""Start of ``emotion-export``, which takes over the signals before the large imports."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.system import start


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see export.program."""
    start.program()
    from export.program import main

    return main(argv)


if __name__ == "__main__":
    sys.exit(main())

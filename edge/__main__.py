"""Start of ``emotion-edge``, which takes over the signals before the large imports."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.system import start


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see edge.cli.program."""
    start.program()
    from edge.cli.program import main

    return main(argv)


if __name__ == "__main__":
    sys.exit(main())

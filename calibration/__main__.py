"""Start of ``emotion-calibrate``, which takes over the signals before the large imports."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.system import start


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see calibration.program."""
    start.program()
    from calibration.program import main

    return main(argv)


if __name__ == "__main__":
    sys.exit(main())

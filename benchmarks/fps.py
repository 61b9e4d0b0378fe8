"""The plain question, how many frames a second: ``python benchmarks/fps.py [SOURCE]``.

Source to sink with everything that ``emotion-edge run`` does; never the network alone. ``emotion-bench
pipeline`` tells where the time goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks import pipeline
from edge.command import finish


def main(argv: Sequence[str] | None = None) -> int:
    """Print frames a second and the latency of a frame."""
    parser = argparse.ArgumentParser(prog="fps.py", description=__doc__.split("\n")[0])
    pipeline.add_options(parser)
    args = parser.parse_args(argv)

    def work() -> None:
        made = pipeline.run(args)
        for entry in made["figures"][:2]:
            print(f"{entry['value']:8.1f}  {entry['name']}")
        frame = made["measurements"][0]["summary"]
        p50, p99 = (frame[name]["value"] for name in ("p50", "p99"))
        print(f"{p50:8.2f}  ms a frame, median; p99 {p99:.2f} ms; n = {frame['n']}")
        print(f"          {made['notes'][0]}")

    return finish("fps", work, "nothing was written")


if __name__ == "__main__":
    sys.exit(main())

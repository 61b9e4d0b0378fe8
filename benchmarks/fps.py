"""The plain question, how many frames a second: ``python benchmarks/fps.py [SOURCE]``.

Source to sink, as ``emotion-edge run`` does it, without its governor and its health record; never the network
alone. ``emotion-bench pipeline`` tells where the time goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a script, from a checkout that nobody has installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.commands import pipeline
from benchmarks.core.report import Report, check_writable, write
from edge.system import journal
from edge.system.command import finish


def main(argv: Sequence[str] | None = None) -> int:
    """Print frames a second and the latency of a frame."""
    journal.configure()
    parser = argparse.ArgumentParser(prog="fps.py", description=__doc__.split("\n")[0])
    pipeline.add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the report, raw samples included")
    args = parser.parse_args(argv)

    def work() -> None:
        check_writable(args.json)
        made = pipeline.run(args)
        _show(made)
        if args.json:
            write(args.json, made)

    return finish("fps", work, "nothing was written")


def _show(made: Report) -> None:
    for entry in made["figures"][:4]:
        print(f"{entry['value']:8.2f}  {entry['name']}")
    for entry in made["measurements"][:2]:
        p50, p99 = (entry["summary"][name]["value"] for name in ("p50", "p99"))
        print(f"{p50:8.2f}  ms, {entry['name']}, median; p99 {p99:.2f} ms; n = {entry['summary']['n']}")
    for note in made["notes"]:
        print(f"          {note}")


if __name__ == "__main__":
    sys.exit(main())

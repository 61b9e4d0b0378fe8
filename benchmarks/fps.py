"""The plain question, how many frames a second: ``python benchmarks/fps.py [SOURCE]``.

Source to sink like ``emotion-edge run``, without its governor and its health record; never the network alone.
``emotion-bench pipeline`` shows where the time goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a script from a checkout that is not installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import runner
from benchmarks.commands import pipeline
from benchmarks.core.report import Report, encoded
from benchmarks.core.report_files import add_force, report_files
from edge.system import journal
from edge.system.command import finish
from edge.system.process import keep_large_buffers


def main(argv: Sequence[str] | None = None) -> int:
    """Print frames a second and the latency of a frame."""
    journal.configure()
    parser = argparse.ArgumentParser(prog="fps.py", description=__doc__.split("\n")[0])
    pipeline.add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report, raw samples included")
    add_force(parser)
    args = parser.parse_args(argv)

    def work() -> None:
        runner.check()
        with report_files(args) as files:
            keep_large_buffers()  # as the program itself does
            report = pipeline.run(args)
            _show(report)
            if "json" in files:
                files["json"].write(encoded(report))

    return finish("fps", work, "nothing was written")


def _show(report: Report) -> None:
    for entry in report["figures"][:4]:
        print(f"{entry['value']:8.2f}  {entry['name']}")
    for entry in report["measurements"][:2]:
        summary = entry["summary"]
        p99 = summary["p99"]["value"]
        late = f"max {summary['max']:.2f} ms" if p99 is None else f"p99 {p99:.2f} ms"
        print(f"{summary['p50']['value']:8.2f}  ms, {entry['name']}, median; {late}; n = {summary['n']}")
    for note in report["notes"]:
        print(f"          {note}")


if __name__ == "__main__":
    sys.exit(main())

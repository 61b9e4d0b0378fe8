"""``emotion-edge status``: how the service does, and the worst that the doctor finds, in two lines."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "how the service does and what is worst, in two lines"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the settings, which name the health file."""
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE.toml", help="settings (default: /etc/emotion-edge.toml)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the lines; the exit code is that of `doctor`. No camera is opened and no program is run."""
    from edge.doctor import telling
    from edge.doctor.examination import examine_machine, read_machine
    from edge.doctor.service import health_lines

    machine = read_machine(Path("/"), settings=args.config)
    for line in health_lines(machine):
        print(f"health  {line}")
    findings = examine_machine(machine, quick=True)
    print(f"doctor  {telling.worst_line(findings)}")
    return telling.exit_code(findings)

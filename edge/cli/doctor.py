"""``emotion-edge doctor``: say what is wrong with this board, and how to mend it."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "say what is wrong with this board, and how to mend it"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what to look at, and in which form to tell it."""
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE.toml", help="settings (default: /etc/emotion-edge.toml)"
    )
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.add_argument(
        "--sysroot",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="root folder of another machine, such as a mounted card",
    )
    parser.add_argument(
        "--bundle", type=Path, metavar="FILE.tar.gz", help="write a report for whoever helps you"
    )
    parser.add_argument("--force", action="store_true", help="replace files that emotion-edge did not write")


def run(args: argparse.Namespace) -> int:
    """Look at everything; the exit code is that of the worst finding: 0, 1 for a warning, 2 for a fault."""
    from edge.doctor import telling
    from edge.doctor.examination import examine_machine, read_machine
    from edge.errors import ConfigError

    root = args.sysroot.absolute()
    if not root.is_dir():
        raise ConfigError(f"--sysroot {args.sysroot} is not a folder; give the root folder of a machine")
    if args.bundle is not None:
        from edge.doctor import fault_report

        fault_report.check(args.bundle, args.force)
    machine = read_machine(root, settings=args.config)
    findings = examine_machine(machine)
    if args.json:
        print(telling.as_json(findings))
    else:
        print("\n".join(telling.lines(findings)))
    if args.bundle is not None:
        names = fault_report.write(args.bundle, findings, machine, args.force)
        if not args.json:
            print(f"wrote {args.bundle}, which only you can read: {', '.join(names)}")
    return telling.exit_code(findings)

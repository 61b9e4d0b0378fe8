"""``emotion-export fit``: the temperature and the threshold of a bundle, on labeled faces."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge import answers
from edge.bundle import load
from edge.errors import EdgeError
from edge.system.steps import Steps

HELP = "fit temperature and threshold of a bundle on labeled faces, and measure them on others"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FILE",
        help=".npz with images (N,S,S), labels (N,) and, if known, groups (N,): who or which sequence it is",
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FILE",
        help="other labeled faces to measure on (default: half of --data, which then is not fitted on)",
    )
    parser.add_argument(
        "--target",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="how many of the answers shall be right; other faces are uncertain (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="write to this folder (default: in the bundle's place)"
    )


def check(args: argparse.Namespace) -> None:
    """Refuse, before PyTorch is loaded, what can be refused without it."""
    from export.bundle.write import check_target

    if not 0.5 <= args.target < 1:
        raise EdgeError(f"--target is {args.target:g}, expected a share from 0.5 to below 1, such as 0.9")
    manifest = load(args.bundle).manifest
    if not answers.of(manifest).chooses:
        raise EdgeError(
            f"the output of {args.bundle} is {manifest.output!r}; only one of K classes ('softmax') has a "
            "temperature and a threshold to fit"
        )
    for option, path in (("--data", args.data), ("--held-out", args.held_out)):
        if path is not None and not path.is_file():
            raise EdgeError(f"no {option[2:]} at {path}; pass {option} an .npz with 'images' and 'labels'")
    check_target(args.out or args.bundle)


def run(args: argparse.Namespace) -> None:
    """Fit, measure, and write the bundle with its new values, record and card."""
    from export.bundle.write import draft, write_bundle
    from export.card import card
    from export.card.fit import fit
    from export.card.fit_tables import told

    bundle, out = load(args.bundle), args.out or args.bundle
    with Steps("emotion-export") as steps:
        found = fit(bundle, args.data, args.held_out, args.target, steps)
        steps.begin("writing")
        write_bundle(out, lambda fresh: card.with_fit(draft(bundle, fresh), found))
    print("\n".join(told(found)))
    print(f"wrote {out}")

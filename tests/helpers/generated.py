"""Text that is made from the tables of parts; ``make docs`` writes it where it belongs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import boundaries

from edge.capture.sources import SOURCES
from edge.cli.config import code, reference
from edge.deploy.kit.targets import TARGETS
from edge.engines.backends import BACKENDS
from edge.faces.detectors import DETECTORS
from edge.parts import Part, markdown
from edge.sinks.outputs import SINKS

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "settings.md"
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/how-it-works.md",
        "docs/jetson.md",
        "docs/kit.md",
        "docs/library.md",
        "docs/outputs.md",
        "docs/security.md",
    )
]


def _named(part: Part) -> str:
    return f"`{part.name}`"


def _layers() -> str:
    """The layers of each package, read from the test that holds them: it skips itself without grimp."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text("utf-8"))
    (packages,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) == "LAYERS"
    )
    rows = [
        f"| `{package}` | {' · '.join(', '.join(sorted(layer)) for layer in layers)} |"
        for package, layers in packages.items()
    ]
    return "\n".join(["| Package | Layers |", "|---|---|", *rows])


def _either(name: str) -> str:
    return " or ".join(f"`{each}`" for each in name.split(" | "))


def _targets() -> str:
    rows = [
        f"| `{row.name}` | {row.system} | {row.python} | {', '.join(_either(name) for name in row.depends)} "
        f"| {'compared with the archive' if row.checked else 'from documentation'} |"
        for row in TARGETS
    ]
    head = "| `--target` | System | Python | Of the system, beside Python | Names of packages |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


TABLES = {
    "sources": markdown(SOURCES, "Source", lambda part: code(part.address)),
    "detectors": markdown(DETECTORS, "Detector", _named),
    "backends": markdown(BACKENDS, "`engine.kind`", _named),
    "sinks": markdown(SINKS, "Output", lambda part: f"`--{part.name}`", "What it writes"),
    "layers": _layers(),
    "boundaries": boundaries.table(),
    "targets": _targets(),
}


def filled(text: str) -> str:
    """``text`` with every block between ``<!-- table: NAME -->`` and ``<!-- end -->`` made anew."""
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    SETTINGS.write_text(reference())
    for page in PAGES:
        page.write_text(filled(page.read_text()))

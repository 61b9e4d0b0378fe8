"""Text that is made from the tables of parts; ``make docs`` writes it where it belongs."""

from __future__ import annotations

import re
from pathlib import Path

from edge.capture.sources import SOURCES
from edge.cli.config import code, reference
from edge.parts import markdown

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "settings.md"
PAGES = [ROOT / "README.md"]
TABLES = {"sources": markdown(SOURCES, "Source", lambda part: code(part.address))}


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

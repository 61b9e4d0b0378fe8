"""What the documents point to is there: files, headings, settings, make targets and extras."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import documents
import pytest
from documents import CARD, PAGES, ROOT, anchors, blocks, commands, inline_code, links

from edge.config import Config
from edge.sinks.outputs import SINKS

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
INDEX = ROOT / "docs" / "README.md"


def named(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", [*PAGES, CARD], ids=named)
def test_links_and_anchors_resolve(page: Path) -> None:
    missing = []
    for target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert not missing, f"{page.name} points to what is not there: {missing}"


def test_the_index_names_every_page_and_the_readme_leads_to_it() -> None:
    linked = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    assert set(PAGES) - {INDEX} <= linked
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130
    own = {(ROOT / target.partition("#")[0]).resolve() for target in links(ROOT / "README.md")}
    assert set(PAGES) - {INDEX, ROOT / "README.md"} <= own


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_exist(page: Path) -> None:
    """``edge/events.py``, ``tests/deploy/``; x.py stands for a file to be written."""
    typed = r"(?:edge|export|calibration|benchmarks|tests|docs)/[\w/.-]+"
    paths = [text for text in inline_code(page) if re.fullmatch(typed, text) and "/x.py" not in text]
    assert not [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_settings_that_are_named_exist(page: Path) -> None:
    tables = {table.name: table.default_factory for table in fields(Config)}
    keys = {f"{name}.{field.name}" for name, kind in tables.items() for field in fields(kind)}
    keys |= {f"output.{part.name}" for part in SINKS} | {"output.NAME"}
    typed = rf"((?:{'|'.join(tables)})\.[a-zA-Z_]+)"
    texts = [*inline_code(page), *(word for command in commands(page) for word in command.words)]
    found = [key for text in texts for key in re.findall(rf"(?:^|--set ){typed}(?=\s*=|$)", text)]
    assert set(found) - keys <= {"output.counter"}, "the last is the example's own"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    texts = [(page, text) for page in PAGES for text in inline_code(page) if text.startswith("make ")]
    words = [(page, text.split()[1]) for page, text in texts]
    words += [(c.page, c.words[1]) for page in PAGES for c in commands(page) if c.words[0] == "make"]
    assert words
    assert not [f"{page.name}: make {word}" for page, word in words if word not in targets]


def test_extras_exist() -> None:
    extras = set(re.findall(r"^([a-z-]+) = \[", PROJECT, re.MULTILINE))
    texts = [" ".join(command.words) for page in PAGES for command in commands(page)]
    texts += [text for page in PAGES for text in inline_code(page)]
    named_ = {
        name for text in texts for group in re.findall(r"\.\[([a-z,-]+)\]", text) for name in group.split(",")
    }
    assert {"cpu", "pi", "jetson", "export", "bench"} <= named_ <= extras


def test_blocks_say_their_language() -> None:
    known = {"sh", "python", "toml", "json", "text"}
    assert not [str(block) for page in PAGES for block in blocks(page) if block.language not in known]


def test_every_step_of_the_index_is_a_reader() -> None:
    readers = re.findall(r"^\| (\w[\w ]*) \|", documents.prose(INDEX), re.MULTILINE)
    assert readers == ["Reader", "Everybody", "Operator", "Maker", "ML engineer", "Auditor", "Contributor"]

"""The documents as data: their pages, blocks, commands, inline code, links, anchors and sentences."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge import bundle

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CARD = bundle.REFERENCE / getattr(bundle.load().manifest.card, "path", "model-card.md")
WRITTEN = [page for page in PAGES if page.name != "settings.md"]  # that one is made by the program
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PLACES = ("venv/bin/", "/opt/emotion-edge/bin/", ".venv/bin/")  # where programs lie in the documents


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.strip().splitlines()[0][:70]}"


@dataclass(frozen=True)
class Command:
    """One simple command, without sudo, variables, the folder of its program and redirections."""

    page: Path
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.name}: {' '.join(self.words)[:90]}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of ``page`` in these languages, or all."""
    found = (Block(page, m[2], textwrap.dedent(m[3])) for m in _FENCE.finditer(page.read_text("utf-8")))
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """The text of ``page`` without fenced blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", page.read_text("utf-8")), flags=re.DOTALL)


def inline_code(page: Path) -> list[str]:
    """Everything between single backticks, once each."""
    return list(dict.fromkeys(_CODE.findall(prose(page))))


def commands(page: Path) -> list[Command]:
    """The commands of all ``sh`` blocks of ``page``."""
    lines = (line for block in blocks(page, "sh") for line in block.text.replace("\\\n", " ").splitlines())
    return [Command(page, words) for line in lines for words in simple_commands(line)]


def simple_commands(line: str) -> Iterator[tuple[str, ...]]:
    """The words of each command in a line of shell, comments left out."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    reader.whitespace_split = True
    words: list[str] = []
    for word in [*reader, ";"]:
        if not re.fullmatch(r"[|&;]+", word):
            words.append(word)
            continue
        if simple := _program(words):
            yield simple
        words = []


def _program(words: list[str]) -> tuple[str, ...]:
    redirected = next((at for at, word in enumerate(words) if set(word) <= set("<>")), len(words))
    words = words[:redirected]
    while words and (words[0] in ("sudo", "env", "export") or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    for place in _PLACES:
        words = [words[0].removeprefix(place), *words[1:]] if words else []
    return tuple(words)


def links(page: Path) -> list[str]:
    """Targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(_CODE, "", prose(page)))


def anchors(page: Path) -> set[str]:
    """Names by which headings can be linked to, made as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return set(found)


def sentences(page: Path) -> list[str]:
    """The sentences of paragraphs and lists; a piece of code counts as a word, tables and headings not."""
    text = re.sub(r"^(#|\|).*$", "", prose(page), flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", _CODE.sub("CODE", text))
    text = re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [
        sentence
        for paragraph in paragraphs
        for sentence in re.split(r"(?<=[.!?])[*)]* (?=[A-Z*\[(\"])", paragraph)
        if len(sentence.split()) > 1
    ]

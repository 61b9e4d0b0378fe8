"""How the documents read, and that the messages which they quote are those of the program."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from documents import ROOT, WRITTEN, inline_code, prose, sentences

TROUBLES = ROOT / "docs" / "troubleshooting.md"
BRITISH = (
    r"\b(?:colours?|grey|licence[sd]?|centre[sd]?|behaviours?|favours?|neighbours?|levelled|"
    r"labelled|modelling|learnt|(?:normal|quant|recogn|minim|optim|visual|summar|synchron|standard)is\w+)\b"
)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_sentences_are_short(page: Path) -> None:
    lengths = {sentence: len(sentence.split()) for sentence in sentences(page)}
    longest = max(lengths, key=lambda sentence: lengths[sentence])
    assert lengths[longest] <= 40, longest
    assert sum(lengths.values()) / len(lengths) < 25


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_spelling_is_american(page: Path) -> None:
    assert not re.findall(BRITISH, prose(page), re.IGNORECASE)


def test_each_trouble_has_a_sight_a_reason_and_a_fix() -> None:
    parts = re.split(r"^### (.+)$", prose(TROUBLES), flags=re.MULTILINE)[1:]
    troubles = dict(zip(parts[::2], parts[1::2], strict=True))
    assert len(troubles) >= 20
    for name, text in troubles.items():
        labels = re.findall(r"^- \*\*(\w+)\*\*: ", text, re.MULTILINE)
        assert labels == ["See", "Why", "Fix"], name
        assert "`" in text.split("**Why**")[0], f"{name}: nothing says how to see it"


def test_quoted_messages_are_those_of_the_program() -> None:
    messages = [text for text in inline_code(TROUBLES) if is_message(text)]
    assert len(messages) > 40
    known = program_texts()
    assert not [text for text in messages if not any(plain(text) in one for one in known)]


def is_message(text: str) -> bool:
    """Whether a piece of code is a sentence and no command, option, setting or call."""
    plain = re.match(r"(?:\.\.\. )?[A-Za-z0-9]+(?:[-'.]\w+)*(?: |, |: )", text) or text.startswith("...")
    words = re.findall(r"[A-Za-z]{2,}", text)
    if not plain or len(words) < 3 or re.search(r"\w\(|^[\w.]+ = ", text):
        return False
    return text.split()[0] not in COMMANDS


COMMANDS = {
    *("emotion-edge", "emotion-export", "emotion-bench", "emotion-calibrate", "make", "sudo", "venv/bin/pip"),
    *(
        "curl",
        "v4l2-ctl",
        "fuser",
        "journalctl",
        "systemctl",
        "systemd-analyze",
        "ffmpeg",
        "ffprobe",
        "dmesg",
    ),
    *("venv/bin/python", "python3", "tail", "ls", "ss", "df", "cat", "vlc", "gst-inspect-1.0", "vcgencmd"),
}


@cache
def program_texts() -> list[str]:
    """Every text of the runtime's source, with ``...`` for what is filled in."""
    texts = []
    for path in (ROOT / "edge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                pieces = (piece.value if isinstance(piece, ast.Constant) else "..." for piece in node.values)
                texts.append("".join(map(str, pieces)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(re.sub(r"%[\d.]*[a-z]", "...", node.value).replace("%%", "%"))
    return [plain(text) for text in texts]


def plain(text: str) -> str:
    """One line; three dots for whatever is left out."""
    return re.sub(r"\.{3,}", "...", " ".join(text.split()))

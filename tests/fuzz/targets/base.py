"""What every target of the fuzzing has: a way in, seeds, a mutator that knows the format, and words."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from edge.errors import EdgeError
from edge.system.one_line import one_line

Mutate = Callable[[bytes, Random], bytes]
MOST_TEXT = 2000  # characters of a message
_BREAKS = ("Cc", "Cs", "Zl", "Zp")
_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@dataclass(frozen=True)
class Target:
    """``run`` raises for a fault, whatever it raises; it returns whether the input was accepted.

    ``seeds`` gives inputs to start from, ``mutate`` raises ValueError for what it cannot read, ``words`` are
    pieces that inputs are made of.
    """

    name: str
    run: Callable[[bytes], bool]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Mutate
    words: tuple[str, ...] = ()
    most_bytes: int = 4096  # of an input


def tell(error: EdgeError) -> None:
    """Check an error that a user sees: one printable line of bounded length."""
    # Standard error shows half of a surrogate pair as an escape.
    text = one_line(str(error)).encode("utf-8", "backslashreplace").decode()
    assert text.strip(), "a message without words"
    assert len(text) <= MOST_TEXT, f"a message of {len(text)} characters: {text[:200]}"
    bad = [
        char
        for char in text
        if unicodedata.category(char) in _BREAKS or unicodedata.bidirectional(char) in _TURNS
    ]
    assert not bad, f"not one line of text: {text!a:.300}"


def is_plain(text: str) -> bool:
    """Whether no character controls, breaks or turns a line, or is half of a pair; a judgment of its own."""
    return all(unicodedata.category(char) not in (*_BREAKS, "Cf") or char in "\u200c\u200d" for char in text)


@cache
def scratch(name: str) -> Path:
    """A folder for one target's files, removed at the end; libFuzzer has none: FUZZ_SCRATCH is for it."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ.get("FUZZ_SCRATCH", memory)))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder

"""Our marks are found where our writers put them, and in no foreign file."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system.marks import is_ours

LINE = b'{"schema": "emotion-edge/1", "frame": 1}\n'


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def clip(comment: bytes, moov_first: bool = True) -> bytes:
    text = box(b"\xa9cmt", box(b"data", bytes((0, 0, 0, 1, 0, 0, 0, 0)) + comment))
    moov = box(b"moov", box(b"mvhd", b"x" * 100) + box(b"udta", box(b"meta", b"\0" * 4 + box(b"ilst", text))))
    mdat = struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 16 + 9) + b"emotion-e"
    return box(b"ftyp", b"isom") + (moov + mdat if moov_first else mdat + moov)


def picture(software: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    chunks = [
        (b"IHDR", b"x" * 13),
        (b"tEXt", b"Title\0a"),
        (b"tEXt", b"Software\0" + software),
        (b"IDAT", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def page(generator: bytes) -> bytes:
    return b'<!doctype html>\n<html><head><meta name="generator" content="' + generator + b'"></head></html>'


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        (b"", True),
        (LINE, True),
        (json.dumps({"schema": "emotion-bench/1"}, indent=2).encode(), True),
        (LINE[:14], True),  # a kill in the first line
        (LINE[:14] + b"\n" + LINE, True),  # which a service went on after
        (b"{", False),
        (b"\n", False),
        (b" " * 5000 + b"precious", False),
        (b'{"notes": "mine", "schema": "emotion-edge/1"}', False),
        (b'[{"schema": "emotion-edge/1"}]', False),
        (b'{"schema": "emotion-edge-evaluation/1"}', False),  # a file of a bundle
        (b'{"format": 2}', False),
        (picture(b"emotion-edge 0.2.0"), True),
        (picture(b"Matplotlib"), False),
        (picture(b"emotion-edge")[:60], False),
        (page(b"emotion-edge 0.2.0"), True),
        (page(b"Hugo"), False),
        (b"<p>" + page(b"emotion-edge"), False),
        (clip(b"emotion-edge 0.2.0"), True),
        (clip(b"emotion-edge 0.2.0", moov_first=False), True),
        (clip(b"holiday"), False),
        (clip(b"emotion-edge")[:-40], False),
        (box(b"ftyp", b"isom") + struct.pack(">I", 0) + b"mdat", False),
    ],
)
def test_marks(tmp_path: Path, content: bytes, ours: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert is_ours(path) is ours


def test_what_cannot_be_read_is_foreign(tmp_path: Path) -> None:
    assert not is_ours(tmp_path / "none")
    assert not is_ours(tmp_path)


@given(
    st.sampled_from([b"", clip(b"a")[:20], picture(b"a")[:12], b'{"schema": "', b"<!doctype"]), st.binary()
)
def test_any_other_bytes_are_foreign_and_end(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("marks") / "file"
    path.write_bytes(head + b"\x01" + tail)
    assert not is_ours(path)

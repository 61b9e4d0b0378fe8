"""The marks by which a run knows an output of an earlier one, which it may replace.

JSON begins with a ``schema`` of ours, a page names its generator, a picture its software, a clip a comment,
a report of a fault the name of its archive.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

from edge.version import __version__

MARK = "emotion-edge"  # begins each mark
SOFTWARE = f"{MARK} {__version__}"  # of a picture or a clip
REPORT = f"{MARK}-report.tar"  # the name that a packed report of a fault bears inside
_GZIP = b"\x1f\x8b"
_HEAD = 4096  # bytes in which a mark of JSON or HTML stands
_BOXES = 1000  # of a clip or a picture, before the search is given up
_BOX_BYTES = 1 << 20  # of the texts of a clip
# evaluation.json is a part of a bundle, and no output of a run.
# Half of a first line, of a run that was killed, may stand before.
_JSON = re.compile(rb'(\{"schema":"[emotin]{0,7})?\{"schema":"emotion-(?!edge-evaluation)')
_KEY, _TORN = b'{"schema":"', b'{"schema":"emotion-'
_HTML = re.compile(rb'<meta name="?generator"? content="?emotion-edge', re.IGNORECASE)
_PNG, _PNG_TEXT = b"\x89PNG\r\n\x1a\n", b"Software\0" + MARK.encode()
_COMMENT = re.compile(rb"\xa9cmt.{4}data.{8}" + MARK.encode(), re.DOTALL)


def is_ours(path: Path) -> bool:
    """Whether a regular file is empty or bears a mark; one that cannot be read does not."""
    return kind_of(path) is not None


def kind_of(path: Path) -> str | None:
    """What a regular file of ours is: empty, text, picture, clip or report; None if it bears no mark."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            head = file.read(_HEAD)
            if not head:
                return "empty"  # it holds nothing that could be lost
            if head.startswith(_PNG):
                return "picture" if _marked_picture(file) else None
            if head[4:8] == b"ftyp":
                return "clip" if _marked_clip(file) else None
            if head.startswith(_GZIP):  # RFC 1952: ten bytes, then the name of what is packed, if it has one
                return "report" if head[10:].startswith(REPORT.encode() + b"\0") else None
            return "text" if _marked_text(head) else None
    except OSError:
        return None


def _marked_text(head: bytes) -> bool:
    dense = b"".join(head.split())
    # A kill can leave half of the first line.
    torn = len(head) < _HEAD and dense.startswith(_KEY) and _TORN.startswith(dense)
    is_page = head.lstrip()[:9].lower() == b"<!doctype" and _HTML.search(head) is not None
    return torn or _JSON.match(dense) is not None or is_page


def _marked_picture(file: BinaryIO) -> bool:
    """Whether one of the chunks before the pixels names us."""
    file.seek(len(_PNG))
    for _ in range(_BOXES):
        header = file.read(8)
        size, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind == b"tEXt":
            if file.read(min(size, len(_PNG_TEXT))) == _PNG_TEXT:
                return True
            size -= min(size, len(_PNG_TEXT))
        elif kind in (b"IDAT", b""):
            return False
        file.seek(size + 4, os.SEEK_CUR)
    return False


def _marked_clip(file: BinaryIO) -> bool:
    """Whether the comment of an MP4 names us: in the box ``udta`` of the box ``moov``."""
    end = os.fstat(file.fileno()).st_size
    moov = _box(file, b"moov", 0, end)
    udta = moov and _box(file, b"udta", *moov)
    if not udta:
        return False
    file.seek(udta[0])
    return _COMMENT.search(file.read(min(udta[1] - udta[0], _BOX_BYTES))) is not None


def _box(file: BinaryIO, wanted: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Where the content of the box ``wanted`` begins and ends, of those between ``at`` and ``end``."""
    for _ in range(_BOXES):
        file.seek(at)
        header = file.read(16)
        size, content = int.from_bytes(header[:4], "big"), at + 8
        if size == 1:
            size, content = int.from_bytes(header[8:], "big"), at + 16
        stop = end if size == 0 else at + size
        if len(header) < 8 or not content <= stop <= end:
            return None
        if header[4:8] == wanted:
            return content, stop
        at = stop
    return None

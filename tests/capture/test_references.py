"""A file that names others leads neither to these nor to the network, as strace sees."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import made_clips as clips
import pytest
import traced

from edge.capture.files import FileSource

pytestmark = pytest.mark.skipif(not traced.strace(), reason="strace is missing, or may not trace here")
ROOT = Path(__file__).parents[2]
READ = """
import sys
from edge.capture.sources import open_source
from edge.config import SourceConfig
from edge.errors import EdgeError
for name in sys.argv[1:]:
    try:
        with open_source(SourceConfig(address=name)) as source:
            print(name, len(list(source.frames())))
    except EdgeError as error:
        print(name, error)
"""
TARGETS = {
    "relative": "secret.ts",
    "file": "file:secret.ts",
    "http": "http://127.0.0.1:9/secret.ts",
    "tcp": "tcp://127.0.0.1:9",
    "udp": "udp://127.0.0.1:9",
    "rtsp": "rtsp://127.0.0.1:9/secret",
    "concat": "concat:secret.ts|secret.ts",
    "crypto": "crypto:secret.ts",
    "subfile": "subfile,,start,0,end,100,,:secret.ts",
}
MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT1S"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="9" width="64" height="48">'
    '<BaseURL>{}</BaseURL><SegmentBase indexRange="0-9"/></Representation></AdaptationSet></Period></MPD>'
)
LISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{}\n#EXT-X-ENDLIST\n",
    "key.m3u8": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXTINF:1.2,\n{}\n#EXT-X-ENDLIST\n',
    "mp4": "ffconcat version 1.0\nfile '{}'\n",
    "txt": "ffconcat version 1.0\nfile '{}'\n",
    "mpd": MPD,
    "asx": '<asx version="3.0"><entry><ref href="{}"/></entry></asx>',
    "xspf": "<playlist><trackList><track><location>{}</location></track></trackList></playlist>",
    "smil": '<smil><body><video src="{}"/></body></smil>',
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{}"/></svg>',
    "m3u": "{}\n",
    "pls": "[playlist]\nFile1={}\n",
    "ram": "RTSPtext{}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "idx": "# VobSub index file, v7\n# {}\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
}


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def with_reference(movie: bytes, entry: bytes) -> bytes:
    """A MOV whose pictures are said to stand elsewhere, by an entry of its ``dref``."""
    start = movie.index(b"dref") - 4
    (size,) = struct.unpack_from(">I", movie, start)
    new = box(b"dref", struct.pack(">II", 0, 1) + entry)
    changed = bytearray(movie[:start] + new + movie[start + size :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = movie.index(kind) - 4
        struct.pack_into(">I", changed, at, struct.unpack_from(">I", changed, at)[0] + len(new) - size)
    return bytes(changed)


def alias(path: str) -> bytes:
    """An alias record as classic Mac OS wrote it: name, levels, and the path as an entry of type 2."""
    name = path.rpartition("/")[2].encode()
    record = bytearray(150)
    record[10:14] = b"\x03vol"
    record[50 : 51 + len(name)] = bytes([len(name)]) + name
    struct.pack_into(">hh", record, 130, 1, 0)
    path_ = struct.pack(">hh", 2, len(path)) + path.encode() + b"\0" * (len(path) % 2)
    return box(b"alis", bytes(4) + bytes(record) + path_ + struct.pack(">hh", -1, 0))


def movies(whole: bytes) -> dict[str, bytes]:
    head = box(b"ftyp", b"qt  \0\0\0\0qt  ")
    made = {}
    for name, target in TARGETS.items():
        address = target.encode()
        made[f"url-{name}.mov"] = with_reference(whole, box(b"url ", bytes(4) + address + b"\0"))
        made[f"alias-{name}.mov"] = with_reference(whole, alias(target))
        link = box(b"rdrf", bytes(4) + b"url " + struct.pack(">I", len(address)) + address)
        made[f"movie-{name}.mov"] = head + box(b"moov", box(b"rmra", box(b"rmda", link)))
    return made


def test_nothing_else_is_opened_and_nobody_asked(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    whole = clips.write(tmp_path / "whole.mov").read_bytes()
    for name, data in movies(whole).items():
        (work / name).write_bytes(data)
    for suffix, text in LISTS.items():
        for name, target in TARGETS.items():
            (work / f"list-{name}.{suffix}").write_text(text.replace("{}", target))
    given = sorted(path.name for path in work.iterdir())
    clips.write(work / "secret.ts", codec="mpeg2video")
    (work / "secret.sub").write_bytes(b"\0\0\1\xba" + bytes(100))
    for clip in ("plain.mov", "pictures%03d.png"):  # what is a video is read, whatever its name is
        (work / clip).write_bytes(whole)
    out = tmp_path / "calls"
    words = [sys.executable, "-c", READ, *given, "plain.mov", "pictures%03d.png"]
    program = traced.start(words, out, {**os.environ, "PYTHONPATH": str(ROOT)}, work)
    try:
        said = program.communicate(timeout=300)[0].splitlines()
    except subprocess.TimeoutExpired:
        program.kill()
        raise
    text = out.read_text(errors="replace")
    assert len(said) == len(given) + 2, said[-1]
    assert {"plain.mov 12", "pictures%03d.png 12"} <= set(said)
    opened = [call.inside for call in traced.calls(text) if call.name in traced.OPENS]
    assert any("plain.mov" in call for call in opened), "strace sees nothing here"
    assert not [call for call in opened if "secret" in call]
    assert traced.network(text) == []
    assert not [line for line in said if line.startswith("list-") and line.split()[1].isdecimal()]


def test_a_movie_beside_its_data_is_its_own(tmp_path: Path) -> None:
    """FFmpeg takes data that is said to stand at a URL from the file itself."""
    whole = clips.write(tmp_path / "whole.mov").read_bytes()
    path = tmp_path / "url.mov"
    path.write_bytes(with_reference(whole, box(b"url ", bytes(4) + b"http://127.0.0.1:9/\0")))
    with FileSource(path) as source:
        assert len(list(source.frames())) == 12

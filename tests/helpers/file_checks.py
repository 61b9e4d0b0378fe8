"""Reads clips of many kinds, with any PyAV from 10 on: python file_checks.py FOLDER.

It needs no pytest, so that the Python of a board's system can run it.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import made_clips as clips
import numpy as np

from edge.capture.files import FileSource
from edge.capture.orientation import from_matrix
from edge.data import Frame
from edge.errors import SourceError

X264 = {"preset": "ultrafast", "qp": "4"}
INTERLACED = {"flags": "+ildct+ilme"}
KINDS = {  # file name -> codec and options
    "progressive.mp4": ("libx264", X264),
    "interlaced.mp4": ("libx264", {**X264, **INTERLACED}),
    "interlaced.ts": ("libx264", {**X264, **INTERLACED}),
    "interlaced.mkv": ("mpeg2video", INTERLACED),
    "reordered.mp4": ("libx264", {**X264, "bf": "2"}),
    "reordered.mkv": ("mpeg4", {"bf": "2"}),
    "plain.avi": ("mpeg4", {}),
    "pictures.mov": ("png", {}),
    "jpeg.avi": ("mjpeg", {}),
    "lossless.mkv": ("ffv1", {}),
    "ten.mkv": ("ffv1", {}),
}
PIX_FMTS = {"pictures.mov": "rgb24", "jpeg.avi": "yuvj420p", "ten.mkv": "yuv420p10le"}


def read(path: Path, **how: object) -> list[Frame]:
    with FileSource(path, **how) as source:  # type: ignore[arg-type]
        return list(source.frames())


def check_kinds(folder: Path) -> None:
    rate = Fraction(30000, 1001)
    for name, (codec, options) in KINDS.items():
        path = clips.write(
            folder / name, rate=rate, codec=codec, options=options, pix_fmt=PIX_FMTS.get(name, "yuv420p")
        )
        frames = read(path)
        assert [frame.index for frame in frames] == list(range(12)), name
        times = [frame.timestamp_s * rate for frame in frames]
        assert np.allclose(times, range(12), atol=0.05), f"{name}: {times}"
        if frames[0].image.ndim == 2 and frames[0].luma_range == "limited":
            assert [clips.number_of(frame.image) for frame in frames] == list(range(12)), name
        is_color = name in ("pictures.mov", "ten.mkv")
        assert frames[0].image.ndim == (3 if is_color else 2), f"{name}: {frames[0].image.shape}"
        assert frames[0].luma_range == ("full" if is_color or name == "jpeg.avi" else "limited"), name
        means = [float(frame.image.mean()) for frame in frames]
        assert means == sorted(means), f"{name}: {means}"


def check_orientations(folder: Path) -> None:
    plain = clips.write(folder / "plain.mp4", count=1).read_bytes()
    stored = np.zeros((4, 6), np.uint8)
    stored[:2, :3] = 255
    for name, matrix in clips.MATRICES.items():
        path = folder / "turned.mp4"
        path.write_bytes(plain)
        (frame,) = read(clips.turn(path, matrix))
        a, b, c, d = matrix
        wide = a != 0
        assert frame.image.shape == ((48, 64) if wide else (64, 48)), name
        # Stored at the top left; an axis that points backwards moves it to the other end.
        expected = (d < 0, a < 0) if wide else (b < 0, c < 0)
        assert clips.light_corner(frame.image) == expected, name
        assert from_matrix(b"") == from_matrix(bytes(36)), "no matrix is upright"


def check_late_video(folder: Path) -> None:
    for suffix in ("mp4", "mkv", "ts"):
        frames = read(clips.write(folder / f"late.{suffix}", late_s=2.0))
        times = [frame.timestamp_s for frame in frames]
        assert np.allclose(times, 2 + np.arange(12) / 10, atol=0.03), f"{suffix}: {times}"


def check_title(folder: Path) -> None:
    for suffix in ("mkv", "mp4"):
        path = clips.write(folder / f"title.{suffix}")
        path.write_bytes(path.read_bytes().replace(b"title", b"caf\xe9\xff"))
        assert len(read(path)) == 12, "a title of other bytes than UTF-8"


def check_bare(folder: Path) -> None:
    for name, muxer, codec in (("b.h264", "h264", "libx264"), ("b.mjpeg", "mjpeg", "mjpeg")):
        options = X264 if codec == "libx264" else {}
        pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        path = clips.write(folder / name, codec=codec, options=options, muxer=muxer, pix_fmt=pix_fmt)
        times = [frame.timestamp_s for frame in read(path, fps=5.0)]
        assert np.allclose(times, np.arange(12) / 5), f"{name}: {times}"


def check_drawing(folder: Path) -> None:
    path = clips.write(folder / "drawn.mp4")
    plain, drawn, color = read(path), read(path, draw=True), read(path, color=True)
    for one, two, three in zip(plain, drawn, color, strict=True):
        assert np.array_equal(one.image, two.image), "a clip that is drawn changes the estimates"
        assert one.drawn is None
        assert two.drawn is not None
        assert np.array_equal(two.drawn, three.image)
        assert three.image.shape == (48, 64, 3)


def refusal(path: Path) -> str:
    try:
        read(path)
    except SourceError as error:
        return str(error)
    return "it was read"


def check_refusals(folder: Path) -> None:
    whole = clips.write(folder / "cut.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    clips.write(folder / "sound.mp4", count=0, late_s=1.0)
    clips.write_song(folder / "song.mp3")
    words = {
        "cut.mp4": "(moov atom not found)",
        "sound.mp4": "has no video stream (audio only: audio aac)",
        "song.mp3": "has no video stream (audio only: audio mp",
    }
    for name, expected in words.items():
        said = refusal(folder / name)
        assert expected in said, f"{name}: {said}"


def check_unknown_stream(folder: Path) -> None:
    path = clips.write(folder / "unknown.avi", codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"strf", b"s\xf2rf", 1))  # nothing tells what the stream is
    assert "has no video stream (unknown" in refusal(path), refusal(path)


if __name__ == "__main__":
    checks = [
        check_kinds,
        check_orientations,
        check_late_video,
        check_title,
        check_bare,
        check_unknown_stream,
    ]
    for check in (*checks, check_drawing, check_refusals):
        work = Path(sys.argv[1]) / check.__name__
        work.mkdir()
        check(work)
    print("right with PyAV", av.__version__)

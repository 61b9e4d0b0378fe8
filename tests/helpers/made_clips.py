"""Clips made with PyAV 10 or newer, whose frames tell their own number; runs without pytest, too."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48
STEP = 8  # gray levels between two frames; lossy codecs err by less than half of it
FIRST = 24  # of frame 0
MATRICES = {  # a, b, c, d of a display matrix: where FFmpeg shows the top left and top right quarter
    "upright": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (-1, 0, 0, -1),
    "flipped": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "clockwise": (0, 1, -1, 0),
    "transversed": (0, -1, -1, 0),
    "counterclockwise": (0, -1, 1, 0),
}


def picture(number: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
    """Frame ``number``: gray, its top left quarter lighter."""
    width, height = size
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = FIRST + STEP * number
    planes[: height // 2, : width // 2] += 40
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def number_of(image: np.ndarray) -> int:
    """The number of a frame, from its darkest quarter."""
    gray = image if image.ndim == 2 else image[..., 1]
    return round((min(_quarters(gray).values()) - FIRST) / STEP)


def light_corner(image: np.ndarray) -> tuple[bool, bool]:
    """Whether the light quarter is at the bottom, and at the right."""
    quarters = _quarters(image)
    return max(quarters, key=lambda at: quarters[at])


def _quarters(image: np.ndarray) -> dict[tuple[bool, bool], float]:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return {
        (low, right): float(image[low * height :, right * width :][:height, :width].mean())
        for low in (False, True)
        for right in (False, True)
    }


def write(
    path: Path,
    count: int = 12,
    rate: Fraction | int = 10,
    codec: str = "mpeg4",
    *,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    late_s: float | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    muxer: str | None = None,
    movflags: str | None = None,
) -> Path:
    """A clip of ``count`` frames; with ``late_s``, after that much sound."""
    with av.open(
        str(path), "w", format=muxer, options={"movflags": movflags} if movflags else {}
    ) as container:
        container.metadata["title"] = "title"
        video = container.add_stream(codec, rate=rate)
        video.width, video.height = size
        video.pix_fmt = pix_fmt
        video.bit_rate = 4_000_000
        video.options = {"bf": "0", **(options or {})}
        if late_s is not None:
            sound = container.add_stream("mp2" if path.suffix == ".ts" else "aac", rate=48000)
            sound.layout = "mono"
            _mux_silence(container, sound, late_s + 0.5)
        for number in range(count):
            frame = picture(number, size)
            if pix_fmt != "yuv420p":
                frame = frame.reformat(format=pix_fmt)
            frame.pts = number + round((late_s or 0) * rate)
            frame.time_base = 1 / Fraction(rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def write_song(path: Path) -> Path:
    """An MP3 with a cover, a picture that FFmpeg shows as a video stream."""
    with av.open(str(path), "w", format="mp2") as container:
        sound = container.add_stream("mp2", rate=48000)
        sound.layout = "mono"
        _mux_silence(container, sound, 1.0)
    cover = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 200, np.uint8))[1].tobytes()
    content = b"\0image/png\0\x03\0" + cover  # ID3v2.3: encoding, type, front cover, no description
    frame = b"APIC" + struct.pack(">IH", len(content), 0) + content
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\3\0\0" + size + frame + path.read_bytes())
    return path


def _mux_silence(container: Any, sound: Any, seconds: float) -> None:
    samples = sound.codec_context.frame_size or 1152
    kind = sound.codec_context.format.name
    silent = np.zeros((1, samples), np.float32 if kind.startswith("flt") else np.int16)
    for number in range(int(seconds * 48000 / samples)):
        frame = av.AudioFrame.from_ndarray(silent, format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, number * samples, Fraction(1, 48000)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into the first track of an MP4 or MOV."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path

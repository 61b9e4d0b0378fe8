"""Containers and streams of PyAV: opened safely, the one video found, its rate and its clock."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from edge.capture import png_contents
from edge.capture.regular_file import WatchedFile
from edge.errors import SourceError

_DEFAULT_FPS = 25.0  # for a file without a frame rate
_SLOWEST_FPS, _FASTEST_FPS = 0.01, 1000.0  # as of source.fps
_MICROSECOND = 1e-6  # in which FFmpeg gives a container's start and duration
# FFmpeg's names of streams without a container: their pictures have no times.
_BARE = {
    *("av1", "cavsvideo", "dirac", "evc", "h261", "h263", "h264", "hevc", "jpeg_pipe", "m4v", "mjpeg"),
    *("mpegvideo", "mpjpeg", "obu", "rawvideo", "vc1", "vvc"),
}
# Nothing that a file names may be opened: neither the network nor another file.
_OPTIONS = {"protocol_whitelist": "none"}
_READ_BYTES = 1 << 18
_OPEN_BYTES = 1 << 28  # at a time, while a file is opened: an index of 100 hours has 100 MB
_PADDING = 1 << 23  # pixels: FFmpeg counts with what it adds to each row and column
# HLS, FFmpeg's own, DASH, ASX, SDP; some editors begin a file with a byte order mark.
_PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#EXTM3U|ffconcat version|(?:<\?xml[^>]*>\s*)?<(?:MPD|asx)\b|v=0\s)", re.I
)
_TS_DISCONT = 0x200  # AVFMT_TS_DISCONT
_PICTURE_BRANDS = ("avif", "heic", "heix", "mif1")
_PICTURE_CODECS = ("mjpeg", "png", "bmp", "gif", "webp")  # of covers in audio files


def opened(av: Any, file: WatchedFile, name: str, most_pixels: int) -> Any:
    """The container in ``file``; SourceError with the library's own words if it is none.

    FFmpeg decodes first frames to learn what the header does not tell: of at most ``most_pixels`` each where
    PyAV can limit that, else of at most 268 million, its own limit.
    """
    chatter = logging.getLogger("libav")  # PyAV 10 logs there what FFmpeg says of each damaged frame
    if not chatter.handlers:
        chatter.addHandler(logging.NullHandler())
        chatter.propagate = False
    level = av.logging.get_level()
    # FFmpeg tells causes such as "moov atom not found" only in its log; here they are caught, not printed.
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as said, _bounded_memory(av, most_pixels):
            return av.open(
                file,
                container_options=_OPTIONS | {"codec_whitelist": _tried_at_once(av)},
                buffer_size=_READ_BYTES,
                **_titles(av),
                **_of_streams(av, most_pixels),
            )
    except (av.error.FFmpegError, OSError) as error:
        if file.fault is not None:
            raise SourceError(f"{name} cannot be read ({file.fault.strerror}); check the disk") from None
        if _PLAYLIST.match(file.read_at(0, 1024)):
            raise SourceError(f"{name} is a playlist; give one of the files that it names") from None
        cause = said[-1][2].strip() if said else cause_of(error)
        raise SourceError(
            f"{name} cannot be decoded as a video ({cause}); copy or record it again, or convert it to "
            "MP4 (H.264)"
        ) from None
    finally:
        av.logging.set_level(level)


@contextmanager
def _bounded_memory(av: Any, most_pixels: int) -> Iterator[None]:
    """FFmpeg takes at most _OPEN_BYTES at a time, or what a plane of ``most_pixels`` needs.

    A header of 2 MB, packed, can say that it has 2 GB (QuickTime's cmov).
    """
    limit = None
    with suppress(AttributeError, OSError):  # a build without a libavutil of its own
        limit = ctypes.CDLL(av._core.__file__).av_max_alloc
    if limit is None:
        yield
        return
    limit(ctypes.c_size_t(max(_OPEN_BYTES, 4 * most_pixels)))
    try:
        yield
    finally:
        limit(ctypes.c_size_t((1 << 31) - 1))  # FFmpeg's own: an output may have a long index


def _tried_at_once(av: Any) -> str:
    """The decoders that FFmpeg may try while it opens a file: not those whose packets are checked first."""
    return ",".join(sorted(av.codecs_available - png_contents.DECODERS))


def _titles(av: Any) -> dict[str, str]:
    """How titles and the like are decoded that are no UTF-8; PyAV 19 replaces them by itself."""
    return {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}


def decoder_options(most_pixels: int) -> dict[str, str]:
    """Options of a decoder whose frames have at most ``most_pixels``, even if their size changes midway."""
    return {"max_pixels": str(most_pixels + _PADDING)}


def _of_streams(av: Any, most_pixels: int) -> dict[str, Any]:
    """Options of the decoders; older PyAV crash on FLV, whose streams appear late, if they get any."""
    version = tuple(int(part) for part in av.__version__.split(".")[:2])
    return {"options": decoder_options(most_pixels)} if version >= (18, 1) else {}


def video_of(container: Any, name: str, most_pixels: int) -> Any:
    """The first video stream that is no cover; SourceError names what there is instead."""
    if container.metadata.get("major_brand", "").strip() in _PICTURE_BRANDS:  # FFmpeg gives one tile of it
        raise SourceError(f"{name} is a picture in HEIF format, which is not read; save it as JPEG")
    videos = [stream for stream in container.streams.video if not _is_cover(container, stream)]
    if videos and videos[0].codec_context is None:
        raise SourceError(f"{name}: this FFmpeg has no decoder for its video; convert it to MP4 (H.264)")
    if videos:
        _check_size(videos[0].codec_context, name, most_pixels)
        return videos[0]
    others = sorted({f"{_type(stream)} {_codec(stream)}".strip() for stream in container.streams})
    kinds = {_type(stream) for stream in container.streams} - {"video"}
    only = f"{'audio only: ' if kinds == {'audio'} else ''}{', '.join(others) or 'nothing'}"
    raise SourceError(f"{name} has no video stream ({only}); give a file with moving pictures")


def _check_size(context: Any, name: str, most_pixels: int) -> None:
    if context.width * context.height > most_pixels:
        raise SourceError(
            f"the header of {name} says {context.width}x{context.height} pixels, at most {most_pixels:,} are "
            "read; make it smaller, or set limits.picture_megapixels"
        )


def _is_cover(container: Any, stream: Any) -> bool:
    """Whether it is the picture of an audio file. PyAV 10 has no disposition, but such a stream no rate."""
    disposition = getattr(stream, "disposition", None)
    if disposition is not None:
        return bool(disposition.value & 0x400)  # AV_DISPOSITION_ATTACHED_PIC
    return bool(container.streams.audio) and not stream.average_rate and _codec(stream) in _PICTURE_CODECS


def _type(stream: Any) -> str:
    """``audio`` or the like. PyAV 10 crashes at the type of a stream that FFmpeg does not know."""
    return "unknown" if type(stream).__name__ == "Stream" else str(stream.type)


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return "" if context is None else str(context.name)


def nominal_rate(stream: Any, bare: bool) -> float:
    """Frames per second; 25 if the file has no plausible rate."""
    # A bare stream has no average; what FFmpeg guesses then comes from the codec's own header.
    rates = [stream.average_rate, stream.guessed_rate]
    for rate in reversed(rates) if bare else rates:
        if rate and _SLOWEST_FPS <= rate <= _FASTEST_FPS:
            return float(rate)
    return _DEFAULT_FPS


def origin_s(container: Any, stream: Any) -> float:
    """Seconds on the container's clock that are time 0: the start of its first stream.

    A start below 0 is the lead-in of an audio codec, which is not played; a video may still begin there.
    """
    start_s = (container.start_time or 0) * _MICROSECOND
    if start_s >= 0:
        return start_s
    return min(float((stream.start_time or 0) * stream.time_base), 0.0)


def estimated_frames(container: Any, fps: float) -> int | None:
    """Frames by duration and rate, for a progress bar."""
    return round((container.duration or 0) * _MICROSECOND * fps) or None


def is_bare(container: Any) -> bool:
    """Whether it is a stream without a container, and so without a clock."""
    return container.format.name in _BARE


def restarts(container: Any) -> bool:
    """Whether the clock of such a container may begin anew in the middle, as of TS."""
    return bool(int(container.format.flags) & _TS_DISCONT)


def cause_of(error: Exception | None) -> str:
    """What a library said, in a few words."""
    return getattr(error, "strerror", None) or str(error or "the file ends before the first one")

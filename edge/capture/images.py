"""A folder of pictures as a video, or a single picture."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.cv_capture import silence_opencv
from edge.capture.picture_headers import MAX_PIXELS, SUFFIXES, is_float_tiff, size_of
from edge.capture.regular_file import shown
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

_log = logging.getLogger(__name__)
_MAX_BYTES = 1 << 30  # of a picture file
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras put into 16
_HIDDEN = (
    "thumbs.db",
    "desktop.ini",
    "ehthumbs.db",
)  # made by Windows; elsewhere hidden files begin with a dot
_NAMES = " ".join(SUFFIXES)


class ImageSource(Closing):
    """Pictures of one folder in natural order, ``fps`` per second, or one picture; subfolders are ignored.

    Frames are BGR (H,W,3), turned as their EXIF data says. A picture that cannot be read leaves a gap in
    index and time; other and hidden files take no place. The log tells once what was passed over.
    Raises SourceError if there is no picture, and from ``frames`` if none can be read.
    """

    live = False

    def __init__(self, address: str | Path, fps: float = 10.0) -> None:
        """List the pictures of ``address``; they are read later, one by one."""
        if not fps > 0:
            raise SourceError(f"fps is {fps}; set a positive number of images per second")
        silence_opencv()
        self.name = shown(address)
        self.fps = fps
        self._passed_over: Counter[str] = Counter()
        self._broken: list[str] = []
        self._levels = _Levels()
        self._paths = [Path(address)] if os.path.isfile(address) else self._listed(Path(address))
        self.frame_count: int | None = len(self._paths)

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures; the time of picture i is i / fps seconds."""
        read = 0
        try:
            for index, path in enumerate(self._paths):
                try:
                    image = self._levels.to_8_bits(_decoded(path))
                except _Broken as error:
                    self._broken.append(f"{shown(path.name)}: {error}")
                    continue
                read += 1
                yield Frame(image, index / self.fps, index)
            if read == 0:
                raise self._nothing()
        finally:
            if read:
                self._tell()

    def _listed(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise SourceError(f"image folder {self.name} does not exist; give a folder with {_NAMES} files")
        try:
            entries = sorted(folder.iterdir(), key=lambda path: (natural_key(path.name), path.name))
        except OSError as error:
            raise SourceError(
                f"image folder {self.name} cannot be listed ({error.strerror}); check its mode and the disk"
            ) from None
        paths = [path for path in entries if path.is_file() and self._is_frame(path)]
        if not paths:
            there = f" (passed over: {self._kinds()})" if self._passed_over else ""
            raise SourceError(f"image folder {self.name} holds no image{there}; put {_NAMES} files there")
        return paths

    def _is_frame(self, path: Path) -> bool:
        """Whether it is a picture; what is none is counted by its kind."""
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.name.lower() in _HIDDEN:  # ._f1.jpg is macOS's twin of f1.jpg
            self._passed_over["hidden"] += 1
        elif suffix not in SUFFIXES:
            self._passed_over[shown(suffix) or "without a suffix"] += 1
        else:
            return True
        return False

    def _kinds(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self._passed_over.most_common())

    def _tell(self) -> None:
        kinds = [self._kinds()] if self._passed_over else []
        if self._broken:
            first = self._broken[0] + (", ..." if len(self._broken) > 1 else "")
            kinds.append(f"{len(self._broken)} broken ({first})")
        if kinds:
            level = logging.WARNING if self._broken or set(self._passed_over) - {"hidden"} else logging.INFO
            _log.log(level, "%s: passed over %s", self.name, ", ".join(kinds))

    def _nothing(self) -> SourceError:
        if len(self._paths) == 1 and shown(self._paths[0]) == self.name:
            reason = self._broken[0].partition(": ")[2]
            return SourceError(f"{self.name} cannot be read ({reason}); save it again as JPEG or PNG")
        return SourceError(
            f"none of the {len(self._paths)} images in {self.name} can be decoded ({self._broken[0]}); "
            f"save them again as JPEG or PNG"
        )


class _Broken(Exception):
    """A picture that cannot be read; its text is the reason."""


class _Levels:
    """Scales pictures of more than 8 bits, all of a folder alike."""

    def __init__(self) -> None:
        self._bits = _DEPTHS[0]  # enough for all values so far, of 16-bit pictures
        self._white = 1.0  # 1, 255 or 65535: likewise, of floating-point pictures

    def to_8_bits(self, image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        """``image`` (H,W,3) as uint8. Few cameras use all 16 bits; a file does not tell how many it holds."""
        if image.dtype == np.uint8:
            return image.astype(np.uint8, copy=False)
        if image.dtype == np.uint16:
            needed = int(image.max()).bit_length()
            self._bits = max(self._bits, next(bits for bits in _DEPTHS if bits >= needed))
            return (image.astype(np.uint16, copy=False) >> (self._bits - 8)).astype(np.uint8)
        if image.dtype.kind != "f":
            raise _Broken(f"its numbers are {image.dtype}, expected 8 or 16 bits without sign, or floats")
        values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        whites = (white for white in (1.0, 255.0) if float(values.max()) <= white)
        self._white = max(self._white, next(whites, 65535.0))
        return np.clip(values * (255.0 / self._white) + 0.5, 0, 255).astype(np.uint8)


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts ``img2`` before ``img10``."""
    # Splitting by a group alternates text and digits, so equal positions hold equal types.
    parts = re.split(r"([0-9]+)", name.lower())
    return tuple((int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts))


def _decoded(path: Path) -> npt.NDArray[np.generic]:
    """The picture (H,W,3) in the depth that its file has; _Broken tells why not."""
    data = _bytes_of(path)
    size = size_of(data)
    if size is None:
        raise _Broken("it is no picture, or its header is broken")
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise _Broken(f"its header says {size[1]}x{size[0]} pixels, at most {MAX_PIXELS:,} are read")
    # OpenCV cannot read gray floats as color.
    how = cv2.IMREAD_UNCHANGED if is_float_tiff(data) else cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except (cv2.error, MemoryError) as error:
        raise _Broken(str(getattr(error, "err", None) or error or "out of memory")) from None
    if image is None:
        raise _Broken("it cannot be decoded")
    return np.stack([image] * 3, axis=-1) if image.ndim == 2 else image[..., :3]


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _Broken(f"it is larger than {_MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise _Broken(error.strerror or str(error)) from None

"""One picture file, read and decoded within bounds: memory is taken only after its header was judged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture import png_contents
from edge.capture.levels import Levels
from edge.capture.picture_headers import is_float_tiff, scans_of, size_of
from edge.errors import SourceError
from edge.system.checked_file import FileRefused, read_checked

_PIXEL_BYTES = 8  # of the largest files that are read: four numbers of 16 bits, not compressed
_HEADER_BYTES = 64 << 20  # for profiles, thumbnails, and a film behind a picture
# A progressive JPEG is improved scan by scan. Programs write up to 14, and each passes over all pixels.
_MOST_SCANS = 64


def read_picture(path: str | Path, most_pixels: int) -> npt.NDArray[np.uint8]:
    """The picture in a file, (H,W,3) uint8 BGR, turned as its EXIF data says; SourceError says why not."""
    return Levels().to_8_bits(decoded(read_bytes(path, most_pixels), most_pixels))


def read_bytes(path: str | Path, most_pixels: int) -> bytes:
    """The content of a regular file that may hold ``most_pixels``; SourceError says why not."""
    try:
        return read_checked(path, _PIXEL_BYTES * most_pixels + _HEADER_BYTES, follow=True)
    except FileRefused as error:
        raise SourceError(f"it {error}") from None


def decoded(data: bytes, most_pixels: int) -> npt.NDArray[np.generic]:
    """The picture (H,W,3) in the depth that its file has; SourceError says why not."""
    size = size_of(data)
    if size is None:
        raise SourceError("it is no picture, or its header is broken")
    if not 0 < size[0] * size[1] <= most_pixels:
        raise SourceError(
            f"its header says {size[1]}x{size[0]} pixels, at most {most_pixels:,} are read, see "
            "limits.picture_megapixels"
        )
    if (scans := scans_of(data)) > _MOST_SCANS:
        raise SourceError(f"it has {scans} scans, at most {_MOST_SCANS} are read")
    if data.startswith(png_contents.SIGNATURE):
        png_contents.check(data, most_pixels)
    # OpenCV cannot read gray floats as color.
    how = cv2.IMREAD_UNCHANGED if is_float_tiff(data) else cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except (cv2.error, MemoryError) as error:
        raise SourceError(str(getattr(error, "err", None) or error or "out of memory")) from None
    if image is None:
        raise SourceError("it cannot be decoded")
    return np.stack([image] * 3, axis=-1) if image.ndim == 2 else image[..., :3]

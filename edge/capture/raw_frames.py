"""The luma of what a V4L2 camera sends, without a conversion of colours."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.guarded import Picture, codec_name
from edge.data import Frame

UInt8 = npt.NDArray[np.uint8]

_JPEG = ("MJPG", "JPEG")
# Bytes of a frame per pixel. Those with 1.5 begin with the luma plane.
_BYTES = {"YUYV": 2.0, "YUY2": 2.0, "GREY": 1.0, "NV12": 1.5, "NV21": 1.5, "YU12": 1.5, "YV12": 1.5}
_FULL = ("GREY", *_JPEG)  # the others are limited in V4L2, unless a driver says something else
_NO_PICTURE = np.zeros((1, 1), np.uint8)  # too small to be taken for a good one


def unconverted(capture: cv2.VideoCapture) -> str | None:
    """Have ``capture`` give frames as its camera sends them: their format, or None where that has no luma."""
    fourcc = codec_name(capture.get(cv2.CAP_PROP_FOURCC))
    known = fourcc in _BYTES or fourcc in _JPEG
    return fourcc if known and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0) else None


def luma_frame(picture: Picture, fourcc: str, size: tuple[int, int], index: int) -> Frame:
    """The frame with the luma of ``picture``; ``size`` is height and width in pixels.

    Where there is none, the frame is of 1 x 1 pixel, which the check of bad frames counts as malformed: one
    broken picture is no reason to open the camera again.
    """
    image = luma(picture.image, fourcc, *size)
    image = _NO_PICTURE if image is None else image
    return Frame(image, picture.grabbed_s, index, "full" if fourcc in _FULL else "limited")


def luma(raw: UInt8, fourcc: str, height: int, width: int) -> UInt8 | None:
    """Luma (H,W) of the bytes ``raw`` of one frame; None where they hold no picture of that format.

    ``raw`` may have any shape, as OpenCV gives another one for each format. The result is a view of it,
    with a stride of 2 for YUYV; only a JPEG is decoded, and has the size that it names itself.
    """
    if fourcc in _JPEG:
        return _decoded(raw)
    if raw.size != int(height * width * _BYTES[fourcc]):
        return None
    if fourcc in ("YUYV", "YUY2"):
        return raw.reshape(height, width, 2)[..., 0]
    return raw.reshape(-1, width)[:height]


def _decoded(raw: UInt8) -> UInt8 | None:
    try:
        # As grey, the blocks that hold the colours are not worked out.
        image = cv2.imdecode(raw.reshape(-1), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # no bytes at all, or an absurd size in the header
        return None
    return None if image is None else np.asarray(image, np.uint8)

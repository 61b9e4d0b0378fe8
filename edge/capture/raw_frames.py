"""Luma straight from a V4L2 camera's data, without color conversion."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.cv_capture import Picture, codec_name
from edge.capture.picture_headers import jpeg_size
from edge.data import Frame

UInt8 = npt.NDArray[np.uint8]

_JPEG = ("MJPG", "JPEG")
# Bytes per pixel. Formats with 1.5 start with the luma plane.
_BYTES = {"YUYV": 2.0, "YUY2": 2.0, "GREY": 1.0, "NV12": 1.5, "NV21": 1.5, "YU12": 1.5, "YV12": 1.5}
_ROW_BYTES = {**_BYTES, "UYVY": 2.0, "BGR3": 3.0, "RGB3": 3.0}  # also those that OpenCV converts
# _IOWR('V', 4, struct v4l2_format) of linux/videodev2.h: a type and a union of 200 bytes with pointers.
_FORMAT_AT = struct.calcsize("P")
_FORMAT_BYTES = _FORMAT_AT + 200
_GET_FORMAT = 0xC0005604 | _FORMAT_BYTES << 16
_VIDEO_CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_FULL = ("GREY", *_JPEG)  # the others have limited range in V4L2, unless the driver says otherwise
_NO_PICTURE = np.zeros((1, 1), np.uint8)  # too small to pass as a good frame


def is_gray(capture: cv2.VideoCapture) -> bool:
    """Whether the camera has no color to give."""
    return codec_name(capture.get(cv2.CAP_PROP_FOURCC)) == "GREY"


def unconverted(capture: cv2.VideoCapture) -> str | None:
    """Stop ``capture`` from converting frames; returns their format, or None if that has no luma."""
    fourcc = codec_name(capture.get(cv2.CAP_PROP_FOURCC))
    known = fourcc in _BYTES or fourcc in _JPEG
    return fourcc if known and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0) else None


def padded_row(node: Path, capture: cv2.VideoCapture) -> int | None:
    """Bytes per row of the camera ``node``, open as ``capture``, if the rows are padded, else None.

    OpenCV assumes that each row follows the previous one without padding, with or without conversion.
    Also None if the driver does not reveal the row size.
    """
    per_pixel = _ROW_BYTES.get(codec_name(capture.get(cv2.CAP_PROP_FOURCC)))
    current = current_format(node) if per_pixel else None
    if per_pixel is None or current is None:
        return None
    width, _, _, row = current
    # For planar formats a driver should report the row of the first plane, luma; some add up all planes.
    unpadded = (0, width * per_pixel, width if per_pixel == 1.5 else 0)
    return None if row in unpadded else row


def current_format(node: Path) -> tuple[int, int, str, int] | None:
    """Width and height in pixels, codec, and bytes of a row, as the driver of ``node`` reports them.

    None if it does not; asking disturbs nobody who reads the camera.
    """
    v4l2_format = bytearray(_FORMAT_BYTES)
    struct.pack_into("I", v4l2_format, 0, _VIDEO_CAPTURE)
    try:
        camera = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(camera, _GET_FORMAT, v4l2_format)
        finally:
            os.close(camera)
    except OSError:  # a driver may refuse a second open beside OpenCV's
        return None
    width, height, codec, _, row = struct.unpack_from("5I", v4l2_format, _FORMAT_AT)
    return width, height, codec_name(codec), row


def luma_frame(picture: Picture, fourcc: str, size: tuple[int, int], index: int) -> Frame:
    """A frame with the luma of ``picture``; ``size`` is height and width in pixels.

    Without luma, the frame has 1 x 1 pixel, which the frame checks count as malformed. One broken picture is
    no reason to reopen the camera.
    """
    image = luma(picture.image, fourcc, *size)
    image = _NO_PICTURE if image is None else image
    return Frame(image, picture.grabbed_s, index, "full" if fourcc in _FULL else "limited")


def luma(raw: UInt8, fourcc: str, height: int, width: int) -> UInt8 | None:
    """Luma (H,W) from the ``raw`` bytes of one frame; None if they are not a picture in that format.

    ``raw`` may have any shape, since OpenCV uses a different one for each format. The result is a view of it,
    with a stride of 2 for YUYV; only JPEG is decoded.
    """
    if fourcc in _JPEG:
        return _decoded(raw, height, width)
    if raw.size != int(height * width * _BYTES[fourcc]):
        return None
    if fourcc in ("YUYV", "YUY2"):
        return raw.reshape(height, width, 2)[..., 0]
    return raw.reshape(-1, width)[:height]


def _decoded(raw: UInt8, height: int, width: int) -> UInt8 | None:
    # A corrupted size of 24575 x 24575 would take 1.2 GB and seconds to decode.
    if jpeg_size(raw.tobytes()) != (height, width):
        return None
    try:
        # In grayscale mode the decoder skips the color blocks.
        image = cv2.imdecode(raw.reshape(-1), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        return None
    return None if image is None or image.shape != (height, width) else np.asarray(image, np.uint8)

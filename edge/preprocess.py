"""The last stage of preprocessing, shared by training and runtime: face crops to network input."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Float32
from edge.errors import BundleError
from edge.manifest import FaceInput, Manifest

UInt8 = npt.NDArray[np.uint8]


def normalize_crops(images: npt.NDArray[np.uint8], manifest: Manifest) -> Float32:
    """Convert face crops to the network's input, the last stage of preprocessing.

    ``images`` is ``(N,H,W)`` uint8 gray or ``(N,H,W,3)`` uint8 RGB, whatever the order of the network's
    channels; the result is ``(N,C,S,S)`` float32 with C, S and that order from ``manifest.input``. Crops of
    another size are resized (area when shrinking, else linear). A gray image fills every channel; of a color
    image, a network for gray gets the luma. ``standardize`` takes mean and deviation over all channels of a
    face, as ``tf.image.per_image_standardization`` does.
    """
    return normalize(images, manifest.input)


def normalize(images: UInt8, face: FaceInput) -> Float32:
    """Like ``normalize_crops``, for a network without a manifest."""
    size, channels = face.size, face.channels
    if images.shape[1:] != (size, size):
        interpolation = cv2.INTER_AREA if min(images.shape[1:]) > size else cv2.INTER_LINEAR
        images = np.stack([cv2.resize(image, (size, size), interpolation=interpolation) for image in images])
    levels = _LEVELS[face.normalization]
    order = -1 if face.color == "bgr" else 1
    faces = np.empty((len(images), channels, size, size), np.float32)
    for image, planes in zip(images, faces, strict=True):
        if image.ndim == 2 or not face.in_color:
            gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            planes[:] = cv2.LUT(gray, levels(gray))  # one lookup per pixel: there are only 256 levels
            continue
        table = levels(image)
        for plane, values in zip(planes, cv2.split(image)[::order], strict=True):
            plane[:] = cv2.LUT(values, table)
    if face.normalization == "imagenet":
        if channels != 3:
            raise BundleError(f"manifest input.channels is {channels}; normalization imagenet needs 3")
        faces = (faces - _IMAGENET_MEAN[::order]) / _IMAGENET_STD[::order]
    return faces


def _standardized(image: UInt8) -> Float32:
    means, deviations = cv2.meanStdDev(image)  # one of each channel
    mean, std = float(means.mean()), float(deviations[0, 0])
    if len(means) > 1:
        std = math.sqrt(float((deviations**2 + (means - mean) ** 2).mean()))
    # At least one gray level, so that a flat crop becomes zeros instead of amplified sensor noise.
    return ((_GRAY - mean) / max(std, 1.0)).astype(np.float32)


# For red, green and blue pixels in 0..1; Russakovsky et al., IJCV 115 (2015), as used by torchvision.
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)

# Value of each level of a channel after normalization, for one crop.
_GRAY = np.arange(256, dtype=np.float64)
_LEVELS: dict[str, Callable[[UInt8], Float32]] = {
    "none": lambda _: _GRAY.astype(np.float32),
    "unit": lambda _: (_GRAY / 255).astype(np.float32),
    "signed": lambda _: (_GRAY / 127.5 - 1).astype(np.float32),
    "imagenet": lambda _: (_GRAY / 255).astype(np.float32),
    "standardize": _standardized,
}

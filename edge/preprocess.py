"""The last part of the one preprocessing: gray face crops become the network's input."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Float32
from edge.errors import BundleError
from edge.manifest import FaceInput, Manifest

UInt8 = npt.NDArray[np.uint8]


def normalize_crops(images: npt.NDArray[np.uint8], manifest: Manifest) -> Float32:
    """Make gray face crops the network's input: the last part of the one preprocessing.

    ``images`` is ``(N,H,W)`` uint8; the result is ``(N,C,S,S)`` float32 with C and S from
    ``manifest.input``. Crops of another size are resized (area when shrinking, else linear).
    A network with three channels gets the gray picture in each of them.
    """
    return normalize(images, manifest.input)


def normalize(images: UInt8, face: FaceInput) -> Float32:
    """As ``normalize_crops``, for a network that has no manifest yet."""
    size, channels = face.size, face.channels
    if images.shape[1:] != (size, size):
        how = cv2.INTER_AREA if min(images.shape[1:]) > size else cv2.INTER_LINEAR
        images = np.stack([cv2.resize(image, (size, size), interpolation=how) for image in images])
    levels = _LEVELS[face.normalization]
    faces = np.empty((len(images), channels, size, size), np.float32)
    for image, planes in zip(images, faces, strict=True):
        planes[:] = cv2.LUT(image, levels(image))  # one look-up a pixel: there are only 256 gray levels
    if face.normalization == "imagenet":
        if channels != 3:
            raise BundleError(f"manifest input.normalization is imagenet with {channels} channel; it needs 3")
        faces = (faces - _IMAGENET_MEAN) / _IMAGENET_STD
    return faces


def _standardized(image: UInt8) -> Float32:
    mean, std = (float(v[0, 0]) for v in cv2.meanStdDev(image))
    # One gray level as the floor: a flat crop becomes zeros, not amplified sensor noise.
    return ((_GREY - mean) / max(std, 1.0)).astype(np.float32)


# Of red, green and blue, for pixels in 0..1; Russakovsky et al., IJCV 115 (2015), as torchvision uses them.
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)

# What each gray level becomes, for one crop.
_GREY = np.arange(256, dtype=np.float64)
_LEVELS: dict[str, Callable[[UInt8], Float32]] = {
    "none": lambda _: _GREY.astype(np.float32),
    "unit": lambda _: (_GREY / 255).astype(np.float32),
    "signed": lambda _: (_GREY / 127.5 - 1).astype(np.float32),
    "imagenet": lambda _: (_GREY / 255).astype(np.float32),
    "standardize": _standardized,
}

"""The one crop: frame and face in, network input out, for training, calibration and runtime alike."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


def normalise_crops(images: npt.NDArray[np.uint8], manifest: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Make grey face crops the network's input: the last part of the one preprocessing.

    ``images`` is ``(N,H,W)`` uint8; the result is ``(N,C,S,S)`` float32 with C and S from
    ``manifest["input"]``. Crops of another size are resized (area when shrinking, else linear).
    """
    spec = manifest["input"]
    size, channels = spec["size"], spec["channels"]
    if images.shape[1:] != (size, size):
        how = cv2.INTER_AREA if min(images.shape[1:]) > size else cv2.INTER_LINEAR
        images = np.stack([cv2.resize(image, (size, size), interpolation=how) for image in images])
    planes = _NORMALISE[spec["normalisation"]](images.astype(np.float32))
    return np.repeat(planes[:, None], channels, axis=1)


def _standardise(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    mean = x.mean(axis=(1, 2), keepdims=True)
    # One grey level as the floor: a flat crop becomes zeros, not amplified sensor noise.
    std = np.maximum(x.std(axis=(1, 2), keepdims=True), 1.0)
    return (x - mean) / std


_NORMALISE = {
    "none": lambda x: x,
    "unit": lambda x: x / np.float32(255.0),
    "signed": lambda x: x / np.float32(127.5) - np.float32(1.0),
    "standardise": _standardise,
}

"""Pictures of more than 8 bits, brought to 8 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.errors import SourceError

_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras put into 16
# Of floating-point pictures: up to 8 for light beyond white, then the greatest numbers of 8 to 16 bits.
_WHITES = (1.0, 2.0, 4.0, 8.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_OUTLIERS = 1e-3  # share of the values that may lie beyond white: hot pixels, glints


class Levels:
    """Scales pictures of more than 8 bits, all of a folder alike."""

    def __init__(self) -> None:
        self._bits = _DEPTHS[0]  # enough for the values so far, of 16-bit pictures
        self._white = _WHITES[0]  # likewise, of floating-point pictures

    def to_8_bits(self, image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        """``image`` (H,W,3) as uint8. Few cameras use all 16 bits; a file does not tell how many it holds.

        Raises SourceError for numbers of another kind.
        """
        if image.dtype == np.uint8:
            return image.astype(np.uint8, copy=False)
        if image.dtype == np.uint16:
            return self._from_16_bits(image.astype(np.uint16, copy=False))
        if image.dtype.kind != "f":
            raise SourceError(f"its numbers are {image.dtype}, expected 8 or 16 bits without sign, or floats")
        values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        fitting = (white for white in _WHITES if white >= self._white and _fits(values, white))
        self._white = next(fitting, _WHITES[-1])
        return np.clip(values * (255.0 / self._white) + 0.5, 0, 255).astype(np.uint8)

    def _from_16_bits(self, image: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        fitting = (bits for bits in _DEPTHS if bits >= self._bits and _fits(image, 2**bits - 1))
        self._bits = next(fitting)
        return (np.minimum(image, 2**self._bits - 1) >> (self._bits - 8)).astype(np.uint8)


def _fits(values: npt.NDArray[np.uint16] | npt.NDArray[np.float32], white: float) -> bool:
    return bool(np.count_nonzero(values > white) <= _OUTLIERS * values.size)

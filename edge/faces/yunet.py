"""YuNet, the default detector, which also finds landmarks.

Method: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
Research 20 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import ANY_FACE, Face, Fine, Frame, Search
from edge.faces import fine_looks
from edge.faces.near import Crop, crop_around, is_near, whole_of
from edge.faces.square import around, eye_roll
from edge.faces.yunet_network import YuNetNetwork
from edge.system.closing import Closing

# The face square relative to YuNet's box and landmarks. Measured on 1,500 FER2013 stills, enlarged to
# 100, 160 and 240 px with a repeated border; YuNet found 1,326, 1,414 and 1,449 of them.
# Side of the still / sqrt(box width * box height): median 1.19, 1.15 and 1.10. The geometric mean of the
# two sides varies less between stills than box height, eye distance or eye-to-mouth distance.
SIDE_PER_BOX = 1.15
# Of 110 scores above 0.8 on a clip with turned heads, plain gray kept 44 %, a tint 72 %, with gamma 1.2 75 %.
_CURVE = 255 * (np.arange(256) / 255) ** 1.2
_TINT = np.clip(_CURVE[:, None] * [0.8, 0.95, 1.15], 0, 255).astype(np.uint8)[:, None]
# Luma scores lower. On pictures of seven clips made small, dark, blurred or tilted, 76 luma scores were
# between 0.5 and 0.6. For 52 of them color found the face, with a median score 0.22 higher. The score to
# start a track is not lowered. Among faces not found in color even at 0.5, luma had 8 scores above 0.75 and
# only 1 above 0.8.
_LUMA_KEEPS_LOWER = 0.1
# Sides of face squares, in pixels of the network's input, down to which no face was lost on eight clips
# compared with larger inputs. In color it was 17, here with a margin for eyes and mouth; on luma, turned
# heads need more.
_SURE_PX, _SURE_LUMA_PX = 32, 64
_LEAST_WIDTH, _WIDTH_STEP = 128, 32


class YuNetDetector(Closing):
    """Detects faces with YuNet, a small network, on the frame downscaled to ``input_width`` pixels.

    ``model`` is the 2023mar ONNX file of the OpenCV Zoo. A face may start a track from ``score_threshold``
    and continue one from ``keep_threshold`` (0..1; default: the same), or 0.1 less on luma. With ``sha256``,
    no other file is parsed.
    Raises BundleError if the file is missing or another network, DependencyError without ONNX Runtime.
    """

    def __init__(
        self,
        model: Path,
        input_width: int = 320,
        score_threshold: float = 0.7,
        keep_threshold: float | None = None,
        sha256: str = "",
    ) -> None:
        self.model, self._input_width = model, input_width
        self._lowest = score_threshold if keep_threshold is None else min(keep_threshold, score_threshold)
        lowest_luma = max(self._lowest - _LUMA_KEEPS_LOWER, 0.0)
        every_gray = np.arange(256, dtype=np.uint8)[None]  # the tint depends only on the gray level
        luma = _tinted(every_gray)[0]
        self._network = YuNetNetwork(Path(model), lowest_luma, luma, sha256, width=input_width)

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        """Faces in ``frame`` as face squares with five landmarks, best score first."""
        if search.fine is not None:
            return self._fine(frame, search.fine, search.width_share)
        whole = whole_of(frame.image.shape, self._width(search, luma=frame.image.ndim == 2))
        crops = [crop_around(box, frame.image.shape) for box in search.near]
        if not crops or sum(crop.cost for crop in crops) >= whole.cost:
            return self._look(frame, whole)
        looks = zip(search.near, crops, strict=True)
        faces = [face for box, crop in looks for face in self._look(frame, crop) if is_near(face, box)]
        return sorted(faces, key=lambda face: -face.score)

    def _fine(self, frame: Frame, fine: Fine, share: float) -> list[Face]:
        def look(crop: Crop, lowest: float | None = None) -> list[Face]:
            return self._look(frame, crop, lowest)

        faces = fine_looks.find(look, frame.image.shape, fine)
        if fine.whole:
            faces += self.detect(frame, Search(width_share=share))
        return sorted(faces, key=lambda face: -face.score)

    def _look(self, frame: Frame, crop: Crop, lowest: float | None = None) -> list[Face]:
        small = _resized(frame.image[crop.top : crop.bottom, crop.left : crop.right], crop.width)
        height, width = small.shape[:2]
        to_frame = (crop.right - crop.left) / width, (crop.bottom - crop.top) / height
        if lowest is not None:
            rows = self._network.propose(small, lowest)
        else:
            rows = self._network.detect(small)
            if small.ndim == 3:
                rows = [row for row in rows if row[14] >= self._lowest]
        found = (_to_face(row, to_frame, (crop.left, crop.top)) for row in rows)
        return [face for face in found if face is not None]

    def _width(self, search: Search, luma: bool) -> int:
        """Input width in pixels; reduced if all expected faces are still large enough."""
        maximum = round(search.width_share * self._input_width)
        if search.smallest is None:
            return maximum
        sufficient = (_SURE_LUMA_PX if luma else _SURE_PX) / search.smallest
        return min(maximum, max(_LEAST_WIDTH, _WIDTH_STEP * math.ceil(sufficient / _WIDTH_STEP)))


def _resized(image: npt.NDArray[np.uint8], width: int) -> npt.NDArray[Any]:
    rows, columns = image.shape[:2]
    if width <= columns:
        return shrink(image, width)
    return cv2.resize(image, (width, max(round(rows * width / columns), 1)), interpolation=cv2.INTER_LINEAR)


def shrink(image: npt.NDArray[np.uint8], width: int) -> npt.NDArray[Any]:
    """Downscale a picture to ``width`` pixels, keeping the aspect ratio; a smaller one is returned unchanged.

    It is halved as often as possible, and the rest is interpolated. YuNet finds the same faces as with area
    averaging in one step. That took up to six times as long, at some widths longer than the network. An odd
    size is interpolated to a multiple and averaged by a whole factor (0.3 to 0.8 of the time).
    """
    rows, columns = image.shape[:2]
    if width >= columns:
        return image
    height = max(round(rows * width / columns), 1)
    while rows % 2 == columns % 2 == 0 and rows >= 2 * height and columns >= 2 * width:
        rows, columns = rows // 2, columns // 2
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    if columns == width:
        return image
    factor = columns // width
    # Bilinear sampling uses every pixel down to half the size; below that it would skip some.
    image = cv2.resize(image, (factor * width, factor * height), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if factor > 1 else image


def _tinted(luma: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Luma (H,W) as BGR (H,W,3) in a faint skin tone: YuNet, trained on color, scores gray lower."""
    return cv2.LUT(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), _TINT.reshape(1, 256, 3))


def _to_face(
    row: Sequence[float], to_frame: tuple[float, float], start: tuple[float, float] = (0, 0)
) -> Face | None:
    """The face in one row of YuNet: x, y, w, h, five points, score; None if it is not usable.

    ``start`` is where in the frame the picture begins.
    """
    across, down = to_frame
    if not all(map(math.isfinite, row)) or row[2] <= 0 or row[3] <= 0:
        return None
    side = SIDE_PER_BOX * math.sqrt(row[2] * across * row[3] * down)
    landmarks = np.array(row[4:14], np.float32).reshape(5, 2) * np.array(to_frame, np.float32)
    landmarks += np.array(start, np.float32)
    x, y = start[0] + across * sum(row[4:14:2]) / 5, start[1] + down * sum(row[5:14:2]) / 5
    box = around(x, y, side, eye_roll(landmarks, side))
    return Face(box, min(max(float(row[14]), 0.0), 1.0), landmarks)

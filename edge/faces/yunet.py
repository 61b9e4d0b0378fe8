"""YuNet through OpenCV: the default detector, with eyes.

Method: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
Research 20 (2023).
"""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Face, Float32, Frame
from edge.errors import BundleError, DependencyError
from edge.faces.crop import eye_roll, square

# The face square in terms of YuNet's box and landmarks. Measured on 1,500 FER2013 stills, enlarged to
# 100, 160 and 240 px with a repeated border; YuNet found 1,326, 1,414 and 1,449 of them.
# Side of the still / sqrt(box width * box height): median 1.19, 1.15 and 1.10. The geometric mean of the
# two sides spreads less from still to still than box height, eye distance or eye-to-mouth distance.
SIDE_PER_BOX = 1.15
# The mean of the five landmarks lies this far below the centre of the still (0.074, 0.074, 0.081). It
# spreads less than the centre of the box, which drifts with the size and the turn of the head.
LANDMARKS_BELOW_CENTRE = 0.076

NMS_IOU = 0.3
# Of 28 faces of a clip with turned heads, plain grey kept 46 % of the scores above 0.8, this tint 68 %.
_TINT = np.clip(np.arange(256)[:, None] * [0.8, 0.95, 1.15], 0, 255).astype(np.uint8)[:, None]
TOP_K = 50  # candidates before suppression; a board that meets more faces has other worries


class YuNetDetector:
    """Faces by YuNet: one small network on the frame downscaled to ``input_width`` pixels.

    ``model`` is the 2023mar ONNX file of the OpenCV Zoo. A face may begin a track from ``score_threshold``
    and continue one from ``keep_threshold`` (0..1; default: the same).
    Raises BundleError where the file is missing or another network, DependencyError on an OpenCV
    that is too old.
    """

    def __init__(
        self,
        model: Path,
        input_width: int = 320,
        score_threshold: float = 0.7,
        keep_threshold: float | None = None,
    ) -> None:
        if tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 8):  # opencv_zoo issue 172
            raise DependencyError(
                f"OpenCV {cv2.__version__} cannot read YuNet 2023mar; install 4.8 or newer "
                "(pip install 'emotion-edge[cpu]'), or set detector.kind=haar"
            )
        self.width_share, self.starts_at = 1.0, score_threshold
        self._input_width = input_width
        lowest = score_threshold if keep_threshold is None else min(keep_threshold, score_threshold)
        self._network = _load(Path(model), lowest)

    def __enter__(self) -> YuNetDetector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def detect(self, frame: Frame) -> list[Face]:
        """Faces of ``frame`` as face squares with five landmarks, best score first."""
        small = shrink(frame.image, round(self.width_share * self._input_width))
        if small.ndim == 2:
            small = _tinted(small)
        height, width = small.shape[:2]
        self._network.setInputSize((width, height))
        _, rows = self._network.detect(small)
        if rows is None:
            return []
        back = np.array([frame.image.shape[1] / width, frame.image.shape[0] / height], np.float32)
        faces = [face for row in rows if (face := _to_face(row, back)) is not None]
        return sorted(faces, key=lambda face: -face.score)


def shrink(image: npt.NDArray[np.uint8], width: int) -> npt.NDArray[Any]:
    """Reduce a picture to ``width`` pixels, aspect kept; a smaller one comes back as it is."""
    scale = width / image.shape[1]
    if scale >= 1:
        return image
    height = max(round(image.shape[0] * scale), 1)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _tinted(luma: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Luma (H,W) as BGR (H,W,3) in a faint skin tone: YuNet learnt on colour, and plain grey scores less."""
    return cv2.LUT(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), _TINT.reshape(1, 256, 3))


def _load(model: Path, score_threshold: float) -> cv2.FaceDetectorYN:
    fix = "fetch face_detection_yunet_2023mar.onnx with `emotion-edge fetch` or set detector.model"
    if not model.is_file():
        raise BundleError(f"face detector {model} is missing; {fix}")
    try:
        network = cv2.FaceDetectorYN.create(str(model), "", (64, 64), score_threshold, NMS_IOU, TOP_K)
        # Another network loads without complaint and fails only here.
        network.detect(np.zeros((64, 64, 3), np.uint8))
    except (cv2.error, SystemError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BundleError(
            f"face detector {model} is no YuNet that OpenCV {cv2.__version__} can run ({reason}); "
            f"{fix}; it needs OpenCV 4.8 or newer"
        ) from error
    return network


def _to_face(row: npt.NDArray[np.float32], back: Float32) -> Face | None:
    """One row of YuNet: x, y, w, h, five points, score; None where it is no usable face."""
    width, height = (float(v) for v in row[2:4] * back)
    if not np.isfinite(row).all() or width <= 0 or height <= 0:
        return None
    landmarks = (row[4:14].reshape(5, 2) * back).astype(np.float32)
    side = SIDE_PER_BOX * math.sqrt(width * height)
    # Up along the face, not along the frame: so a tilted head, once levelled, is framed like an upright one.
    roll, up = eye_roll(landmarks, side), LANDMARKS_BELOW_CENTRE * side
    x, y = (float(v) for v in landmarks.mean(axis=0))
    box = square(x + up * math.sin(roll), y - up * math.cos(roll), side)
    return Face(box, min(max(float(row[14]), 0.0), 1.0), landmarks)

"""OpenCV 4's embedded Haar cascade: a detector that needs no extra file, but finds no landmarks.

Method: Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features" (2001);
cascade by Lienhart, Kuranov and Pisarevsky (2003).
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import ANY_FACE, Face, Frame, Search
from edge.errors import DependencyError
from edge.faces.square import square
from edge.faces.yunet import shrink
from edge.system.closing import Closing

# Chosen among the three frontal cascades on 162 sampled frames of eight clips and two photographs. Widths
# were 320 and 480, faces from 24 px. False positives: alt2 none, alt 4, default 16. On the hardest clip (a
# face often occluded) they found 17, 15 and 19 of 20 faces at 480. With the default min_side, which shifts
# the search scales, alt2 has 2 false positives, which the tracker's ``confirm`` filters out.
CASCADE = "haarcascade_frontalface_alt2.xml"

# The face square relative to alt2's square, measured against YuNet's face square on the same frames.
# Side: medians per clip 0.97 to 1.16 at 480, and up to 10 % less at 320. Center: 0.01 lower.
SIDE_PER_BOX = 1.10
CENTER_DOWN = 0.01  # of alt2's side

# alt2's weight is the sum of its last stage. The stage's threshold (in the XML file) maps to score 0. The
# faces in the clips had weights of 54.5 to 58.2, which this width maps to 0.4 to 0.95.
SCORE_ZERO = 53.7556
SCORE_WIDTH = 1.5

SCALE_STEP = 1.1
NEIGHBORS = 4

# Debian's python3-opencv has no cv2.data; its package opencv-data installs the cascades here.
SYSTEM_FOLDERS = ("/usr/share/opencv4/haarcascades", "/usr/share/opencv/haarcascades")


class HaarDetector(Closing):
    """Detects upright frontal faces with OpenCV's cascade, on the frame downscaled to ``input_width`` pixels.

    ``min_side`` is the smallest face as a fraction of the shorter side of the frame. Smaller faces are not
    worth an estimate, and skipping them saves time. Raises DependencyError on OpenCV 5, which has no
    cascades, and if the cascade's file is not installed.
    """

    def __init__(self, min_side: float = 0.1, input_width: int = 480) -> None:
        self._min_side = min_side
        self._input_width = input_width
        self._cascade = load_cascade(CASCADE)

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        """Faces in ``frame`` as face squares without landmarks, best score first."""
        small = shrink(frame.image, round(search.width_share * self._input_width))
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) if small.ndim == 3 else small
        least = max(round(self._min_side / SIDE_PER_BOX * min(gray.shape)), 20)  # alt2's window has 20 px
        boxes, _, weights = self._cascade.detectMultiScale3(
            gray, SCALE_STEP, NEIGHBORS, 0, (least, least), outputRejectLevels=True
        )
        to_frame = frame.image.shape[1] / gray.shape[1]
        detections = zip(boxes, np.ravel(weights).tolist(), strict=True)
        faces = [_to_face(np.asarray(box) * to_frame, float(weight)) for box, weight in detections]
        return sorted(faces, key=lambda face: (-face.score, float(face.box_xyxy[0])))


def load_cascade(name: str) -> cv2.CascadeClassifier:
    """One of the cascades that come with OpenCV; DependencyError if it is not installed."""
    classifier = getattr(cv2, "CascadeClassifier", None)
    if classifier is None:
        raise DependencyError(
            f"OpenCV {cv2.__version__} has no CascadeClassifier (OpenCV 5 dropped it); "
            "set detector.kind=yunet or install opencv-python-headless<5"
        )
    folders = [getattr(getattr(cv2, "data", None), "haarcascades", ""), *SYSTEM_FOLDERS]
    file = next((path for folder in folders if (path := Path(folder, name)).is_file()), None)
    if file is None:
        raise DependencyError(f"{name} is not installed; install it: sudo apt install opencv-data")
    cascade: cv2.CascadeClassifier = classifier(str(file))
    return cascade


def _to_face(box: npt.NDArray[np.float64], weight: float) -> Face:
    x, y, side = (float(v) for v in box[:3])
    score = 1 - math.exp(-max(weight - SCORE_ZERO, 0.0) / SCORE_WIDTH)
    return Face(square(x + side / 2, y + side * (0.5 + CENTER_DOWN), SIDE_PER_BOX * side), score)

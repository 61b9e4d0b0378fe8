"""How far the crops of YuNet and the aligner scatter about a face, against what training shows."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.demo import ACTORS, Actor, _photograph
from edge.config import Config
from edge.data import Frame
from edge.faces.square import eye_roll
from edge.faces.yunet import YuNetDetector

MODEL = Path(__file__).parents[3] / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"
pytestmark = pytest.mark.skipif(not MODEL.is_file(), reason="shared/data has no YuNet model")


def pictured(actor: Actor, side: float, tilt: float, place: tuple[float, float], rng) -> Frame:
    """640x480 with the actor's face ``side`` pixels wide, tilted clockwise in degrees, in random light."""
    pytest.importorskip(actor.package)
    x, y, drawn = actor.face
    turn = cv2.getRotationMatrix2D((x, y), -tilt, side / drawn)
    turn[:, 2] += np.array(place) - (x, y)
    image = cv2.warpAffine(
        _photograph(actor), turn, (640, 480), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    image = image * np.exp(rng.uniform(-0.3, 0.3)) + rng.normal(0, 5, image.shape)
    return Frame(np.clip(image, 0, 255).astype(np.uint8), 0.0, 0)


def found(
    detector: YuNetDetector, actor: Actor, side: float, tilt: float, rng
) -> tuple[float, float, float, float]:
    """Error of the face square: right and down in sides, log of its side; and its roll in degrees."""
    place = (320 + rng.uniform(-20, 20), 240 + rng.uniform(-20, 20))
    faces = detector.detect(pictured(actor, side, tilt, place, rng))
    center, wide = (lambda box: (box[:2] + box[2:]) / 2), (lambda box: box[2] - box[0])
    face = min(faces, key=lambda face: float(np.hypot(*(center(face.box_xyxy) - place))))
    shift = (center(face.box_xyxy) - place) / side
    roll = np.degrees(eye_roll(face.landmarks, wide(face.box_xyxy)))
    return float(shift[0]), float(shift[1]), float(np.log(wide(face.box_xyxy) / side)), float(roll)


@pytest.mark.parametrize("side", [48, 80, 130, 220])
@pytest.mark.parametrize("actor", ACTORS, ids=[actor.name for actor in ACTORS])
def test_crops_of_upright_faces_stay_within_what_training_shows(actor: Actor, side: float) -> None:
    """The widest views, ``calibration.degrade.augment``: 0.08 of the side, 0.85 to 1.2, 17 degrees."""
    rng, detector = np.random.default_rng(0), YuNetDetector(MODEL, input_width=Config().detector.input_width)
    errors = np.array([found(detector, actor, side, rng.uniform(-5, 5), rng) for _ in range(30)])
    print(f"{actor.name}, {side} px: one sigma {errors.std(axis=0).round(3)}")
    shifts = errors[:, :2] - np.median(errors[:, :2], axis=0)  # the actor's own square is no truth to a pixel
    assert np.quantile(np.abs(shifts), 0.95) <= 0.08
    assert np.log(0.85) <= np.quantile(errors[:, 2], 0.05)
    assert np.quantile(errors[:, 2], 0.95) <= np.log(1.2)
    assert np.abs(errors[:, 3]).max() <= 17


@pytest.mark.parametrize("actor", ACTORS, ids=[actor.name for actor in ACTORS])
def test_a_tilt_is_levelled_where_the_face_is_large_and_never_made_worse(actor: Actor) -> None:
    """YuNet's landmarks follow a tilt from about 150 pixels of its own input on: README, Limits."""
    rng = np.random.default_rng(0)
    for width, side, left_over in ((640, 220, 0.7), (320, 130, 1.1), (320, 80, 1.1)):
        detector = YuNetDetector(MODEL, input_width=width)
        for tilt in (-25, -15, 15, 25):
            roll = np.mean([found(detector, actor, side, tilt, rng)[3] for _ in range(4)])
            print(f"{actor.name}, {side} px in {width}: {tilt} degrees, levelled by {roll:.1f}")
            assert abs(tilt - roll) <= left_over * abs(tilt)

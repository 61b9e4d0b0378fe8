"""The virtual camera keeps to its own script, and detectors see the faces where it says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from contracts import check_source

import edge.capture.demo as demo
from edge.data import Frame
from edge.errors import DependencyError
from edge.faces.haar import HaarDetector


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """Every 8th frame of the scene."""
    for package in ("skimage", "matplotlib"):
        pytest.importorskip(package, reason="the demo's photographs come with the extra [demo]")
    return list(demo.DemoSource().frames())[::8]


def test_contract_and_repetition(frames: list[Frame]) -> None:
    again = check_source(demo.DemoSource(), at_most=20)
    assert len(again) == 20
    assert again[0].image.shape == (480, 640, 3)
    assert np.array_equal(again[8].image, frames[1].image), "the scene differs from run to run"


def test_the_script(frames: list[Frame]) -> None:
    seen = [sum(demo.visible(actor, frame.timestamp_s) for actor in demo.ACTORS) for frame in frames]
    acts = [seen[0], *(b for a, b in pairwise(seen) if a != b)]
    assert acts == [0, 1, 2, 1], "nobody, one comes, a second comes, one leaves"
    for actor in demo.ACTORS:
        for frame in frames:
            assert 110 <= demo.face_square(actor, frame.timestamp_s)[2] <= 170


@pytest.mark.parametrize("cascade", ["default", "alt2"])
def test_haar_finds_each_face_in_its_place(frames: list[Frame], cascade: str) -> None:
    path = f"{cv2.data.haarcascades}haarcascade_frontalface_{cascade}.xml"
    finder = cv2.CascadeClassifier(path)
    for frame in frames:
        gray = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        found = finder.detectMultiScale(gray, 1.1, 5, minSize=(60, 60))
        centers = [(x + width / 2, y + height / 2) for x, y, width, height in found]
        true = [demo.face_square(actor, frame.timestamp_s) for actor in demo.ACTORS]
        present = [demo.visible(actor, frame.timestamp_s) for actor in demo.ACTORS]
        for (x, y, side), here in zip(true, present, strict=True):
            # A cascade's box is not the face square: a third of a side is their usual distance.
            near = [c for c in centers if abs(c[0] - x) < side / 3 and abs(c[1] - y) < side / 3]
            assert near or not here, f"no face near ({x:.0f}, {y:.0f}) at {frame.timestamp_s:.2f} s"
        if frame.timestamp_s < demo.ACTORS[0].arrives_s:
            assert not centers, f"faces {centers} in the empty room"


def test_the_programs_detector_counts_who_is_there(frames: list[Frame]) -> None:
    counts = set()
    with HaarDetector() as detector:
        for frame in frames[::2]:
            true = [demo.face_square(actor, frame.timestamp_s) for actor in demo.ACTORS]
            inside = [demo.visible(actor, frame.timestamp_s) for actor in demo.ACTORS]
            if any(
                not here and -side / 2 < x < demo.WIDTH + side / 2
                for (x, _, side), here in zip(true, inside, strict=True)
            ):
                continue  # somebody is partly inside
            found = [np.reshape(face.box_xyxy, (2, 2)).mean(axis=0) for face in detector.detect(frame)]
            assert len(found) == sum(inside), f"{len(found)} faces at {frame.timestamp_s:.2f} s"
            for (x, y, _), here in zip(true, inside, strict=True):
                near = [np.hypot(*(center - (x, y))) < 15 for center in found]
                assert sum(near) == here, f"centers {found}, true ({x:.0f}, {y:.0f})"
            counts.add(len(found))
    assert counts == {0, 1, 2}, "the sample misses an act"


def test_absent_photographs_name_the_extra() -> None:
    with pytest.raises(DependencyError, match=r"emotion-edge\[demo\]"):
        demo.cutout(replace(demo.ACTORS[0], package="not_installed"))

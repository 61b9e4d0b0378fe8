"""Generated faces through the shipped pipeline: the crop is taken as it is, and every step is noted."""

import numpy as np
import pytest
from drawn_faces import drawn_faces

from calibration.cuts import Clip
from edge.answers import OneOf
from edge.bundle import REFERENCE
from edge.data import Answer, EmotionEstimate, Frame
from edge.engines.golden import roll
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.faces.crop import crop_faces
from export.card import generated, screen, screen_evaluate

pytestmark = pytest.mark.export
pytest.importorskip("skimage")


def golden() -> np.ndarray:
    with np.load(REFERENCE / "golden.npz") as saved:
        return saved["crops"]


def test_crops_reach_the_network_number_for_number() -> None:
    crops = golden()[3]
    with screen.watching(REFERENCE) as parts:
        seen = screen.watch_crops(parts, crops)
        engine = OrtEngine(parts.bundle.model("fp32"), threads=1)
        p = parts.decision.probabilities(roll(engine, parts.bundle, crops[None])[0])
    np.testing.assert_array_equal(seen.likeliest, p.argmax(axis=-1))
    np.testing.assert_array_equal(seen.raw >= 0, p.max(axis=-1) >= parts.decision.meaning.abstain_below)
    assert len(set(seen.track)) == 1


def test_the_detector_that_stands_in_gives_an_upright_square() -> None:
    box = np.array([96, 48, 144, 96], np.float32)
    (face,) = screen.Held(box).detect(Frame(np.zeros((192, 240), np.uint8), 0.0, 0))
    picture = np.random.default_rng(0).integers(0, 256, (192, 240), np.uint8)
    with screen.watching(REFERENCE) as parts:
        (crop,) = crop_faces(Frame(picture, 0.0, 0), [face], parts.bundle.manifest.input)
    np.testing.assert_array_equal(crop, picture[48:96, 96:144])


@pytest.mark.parametrize("name", ["dev-plain", "dev-interrupted", "dev-faceless"])
def test_films_give_figures_by_every_rule(name: str) -> None:
    faces, labels = drawn_faces(24)
    with screen.watching(REFERENCE) as parts:
        found = generated.figures(parts, generated.frozen_sets.named(name), faces, labels, limit=2)
    assert found["films"] == 2
    if name == "dev-faceless":
        assert found["false_answers"]["shown"]["hours"] > 0
    else:
        assert found["steadiness"]["shown"]["steps"] > 50
    assert screen_evaluate.table({"dataset": "generated", "sets": {name: found}}).startswith(f"## {name}")


def test_an_unknown_set_is_named() -> None:
    with pytest.raises(EdgeError, match="dev-plain"):
        screen_evaluate.evaluate(REFERENCE, "generated", REFERENCE, names=["dev-all"])
    with pytest.raises(EdgeError, match="leave it out"):
        screen_evaluate.evaluate(REFERENCE, "clips", REFERENCE, names=["dev-plain"])
    with pytest.raises(EdgeError, match="holds no video"):
        screen_evaluate.evaluate(REFERENCE, "clips", REFERENCE)


def estimate(track: int, box) -> EmotionEstimate:
    answer = Answer(OneOf(("a", "b")), np.array([0.9, 0.1], np.float32), "a")
    return EmotionEstimate(track, 0.0, np.array(box, np.float32), answer, warm=True, fresh=True)


def clip(kind: str, share, event) -> Clip:
    box = np.array([[10, 10, 60, 60]], np.float32)
    frames = np.zeros((len(share), 8, 8), np.uint8)
    return Clip(kind, frames, np.array(share, float), np.array(event, bool), [box] * len(share))


@pytest.mark.parametrize(
    ("ids", "verdict"),
    [
        ([1] * 3 + [2] * 9, True),
        ([1] * 8 + [2] * 4, True),  # five frames after the cut: 0.2 s
        ([1] * 9 + [2] * 3, False),
        ([0] * 3 + [2] * 9, None),
    ],
)
def test_a_cut_has_ended_whoever_was_there(ids, verdict) -> None:
    seen = [[estimate(one, (11, 10, 61, 60))] if one else [] for one in ids]
    assert generated._nobody_stayed(clip("cut", [0] * 3 + [1] * 9, [0] * 12), seen) is verdict


@pytest.mark.parametrize(("last", "verdict"), [(1, False), (2, True), (0, None)])
def test_an_event_changes_nobody(last, verdict) -> None:
    event = [0, 0, 0, 1, *[0] * 12]
    ids = [1] * 6 + [last] * 10
    seen = [[estimate(one, (11, 10, 61, 60)), estimate(9, (200, 10, 260, 60))] if one else [] for one in ids]
    assert generated._changed(clip("flash", [0] * 16, event), seen) is verdict

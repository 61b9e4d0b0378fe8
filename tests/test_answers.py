"""The kinds of output: what a network's numbers mean, and that nobody else asks."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from estimates import answer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import edge
from edge import answers, service
from edge import bundle as bundles
from edge.config import Config
from edge.config_file import Reader
from edge.data import Face
from edge.engines import golden
from edge.errors import BundleError, ConfigError
from edge.recognition.decision import Decision

SOURCE = Path(__file__).parents[1] / "edge"
UNITS = ("AU1", "AU2", "AU4", "AU6")
LABELS = tuple(tiny.LABELS)
RULES: dict[str, dict[str, object]] = {
    "softmax": {"abstain_below": 0.2},
    "sigmoid": {"output": "sigmoid", "thresholds": [0.4, 1, 0.5]},
    "values": {"output": "values", "value_range": [0, 2]},
}


def test_nothing_behind_the_answers_asks_which_kind_it_is() -> None:
    """Only the kinds themselves and the manifest's own rules name one."""
    naming = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Constant) and node.value in answers.KINDS and node.value != "values")
        or (isinstance(node, ast.Attribute) and node.attr == "output" and _is_manifest(node.value))
        or (isinstance(node, ast.Name | ast.Attribute) and _last(node) in ("AnyOf", "Values"))
        or (isinstance(node, ast.Call) and _last(node.func) == "isinstance" and "answers" in ast.dump(node))
    }
    assert naming <= {"answers.py", "manifest.py"}, naming


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_manifest(node: ast.expr) -> bool:
    return "manifest" in _last(node)


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)), st.floats(0.05, 20))
def test_sigmoids_stay_within_0_and_1_and_keep_their_order(logits: np.ndarray, temperature: float) -> None:
    meaning = answers.AnyOf(UNITS, temperature)
    p = meaning.numbers(logits)
    assert ((p >= 0) & (p <= 1)).all()
    assert np.array_equal(p >= 0.5, logits >= 0) or np.allclose(p[(p >= 0.5) != (logits >= 0)], 0.5)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-logits.astype(float) / temperature)), atol=1e-6)


def test_labels_hold_from_their_thresholds_on() -> None:
    said = answer((0.4, 0.39, 0.9, 0.1), UNITS, "sigmoid", thresholds=(0.4, 0.4, 0.95, 0.05))
    assert (said.label, said.present) == (None, ("AU1", "AU6"))
    assert answer((0.5, 0.49, 0.5, 0), UNITS, "sigmoid").present == ("AU1", "AU4"), "0.5 by default"
    small = answer((0.9,) * 4, UNITS, "sigmoid", small=True)
    assert (small.label, small.present) == ("uncertain", ())


@pytest.mark.parametrize("value", [-3.0, -0.7, 0.0, 0.4, 9.0])
def test_a_bar_of_a_value_goes_from_zero_to_it(value: float) -> None:
    said = answer((value, 0.1), ("valence", "arousal"), "values", value_range=(-2.0, 4.0))
    bar, _ = said.meaning.bars(said, 3)
    zero, end = 2 / 6, (min(max(value, -2), 4) + 2) / 6
    assert bar[2:] == pytest.approx(sorted((zero, end)))
    assert bar.text == f"{value:.2f}"


def test_what_is_said_of_a_track() -> None:
    def over(kind: str, *rows: tuple[float, ...], small: bool = False) -> list[tuple[str, str]]:
        said = [answer(row, UNITS[: len(row)], kind, small) for row in rows]
        return [tuple(named) for named in said[0].meaning.over(said)]

    assert over("softmax", (0.6, 0.4), (0.8, 0.2), (0.4, 0.6)) == [("AU1", "0.60")]
    assert over("sigmoid", (0.9, 0.4), (0.7, 0.5), (0.2, 0.1)) == [("AU1", "0.60")]
    assert over("sigmoid", (0.1, 0.4)) == [("none", "")]
    assert over("sigmoid", (0.9, 0.4), small=True) == [("uncertain", "")]
    assert over("values", (-0.6, 0.25), (0.601, -0.25)) == [("AU1", "0.00"), ("AU2", "0.00")]


def sequences(rows: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (4, rows, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", answers.KINDS)
def test_golden_outputs_are_compared_by_what_they_mean(kind: str) -> None:
    meaning, expected = answers.KINDS[kind](LABELS), sequences()
    assert golden.compare(expected, expected, meaning) == golden.Verdict(pytest.approx(1), 0)
    near = expected + np.random.default_rng(1).normal(0, 1e-4, expected.shape).astype(np.float32)
    assert golden.compare(near, expected, meaning).passed
    swapped = np.concatenate([expected[:-1], expected[-1:, :, ::-1]])
    assert not golden.compare(swapped, expected, meaning).passed
    assert not golden.compare(expected * np.float32(np.nan), expected, meaning).passed


def test_sets_of_labels_are_compared_at_their_thresholds() -> None:
    expected, near = np.zeros((1, 4, 2), np.float32) + 2, np.zeros((1, 4, 2), np.float32) + 2
    near[0, 0, 1] = 0.9  # p = 0.71
    assert golden.compare(near, expected, answers.AnyOf(LABELS[:2])).label_changes == 0
    meaning = answers.AnyOf(LABELS[:2], thresholds=(0.5, 0.8))
    assert golden.compare(near, expected, meaning).label_changes == 0.25
    assert meaning.margin(expected[0]) == pytest.approx(np.full(4, 2 - np.log(4)))


def test_values_have_a_bound_of_their_own_range() -> None:
    expected = np.zeros((1, 100, 2), np.float32)
    expected[0, :, 0], expected[0, :, 1] = np.linspace(-4, 4, 100), 0.5
    meaning = answers.Values(LABELS[:2], value_range=(-5.0, 5.0))
    for label, allowed in ((0, 0.05 * 8), (1, 0.01 * 10)):
        for share, changed in ((0.99, 0), (1.01, 0.01)):
            moved = expected.copy()
            moved[0, 50, label] += share * allowed
            assert golden.compare(moved, expected, meaning).label_changes == pytest.approx(changed)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output": "logits"}, "output is 'logits', expected one of"),
        ({"labels": ["calm"]}, "labels has 1 item, expected at least 2"),
        ({"output": "sigmoid", "abstain_below": 0.5}, "abstain_below is 0.5, expected 0 for .* sigmoid"),
        ({"output": "values", "abstain_below": 0.5}, "abstain_below is 0.5, expected 0 for .* values"),
        ({"output": "values", "temperature": 2}, "temperature is 2, expected 1"),
        ({"thresholds": [0.5, 0.5, 0.5]}, "thresholds are for the output sigmoid, but it is softmax"),
        ({"output": "sigmoid", "thresholds": [0.5]}, "thresholds has 1 items, expected one for each of 3"),
        ({"output": "sigmoid", "thresholds": [0.5, 1.5, 0]}, r"thresholds\[1\] is 1.5, expected at most 1"),
        ({"output": "sigmoid", "value_range": [0, 1]}, "value_range is for the output values"),
        ({"output": "values", "value_range": [1, 0]}, r"value_range is \[1, 0\], expected a lower"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(BundleError, match=words):
        bundles.load(tiny.write(tmp_path / "b", **changes))


@pytest.mark.parametrize("kind", RULES)
def test_a_manifest_is_written_as_it_was_read(tmp_path: Path, kind: str) -> None:
    folder = tiny.write(tmp_path / "b", **RULES[kind])
    written = json.loads(json.dumps(bundles.load(folder).manifest.to_dict()))
    assert written == json.loads((folder / "manifest.json").read_text())


def test_one_threshold_for_the_top_class_needs_a_network_that_chooses(tmp_path: Path) -> None:
    config = Reader().config.decision
    for kind, rules in RULES.items():
        manifest = bundles.load(tiny.write(tmp_path / kind, **rules)).manifest
        assert Decision.of(manifest, config).meaning == answers.of(manifest)
    with pytest.raises(ConfigError, match=r"decision\.abstain_below is 0\.4.* does not choose"):
        edge.ExpressionTracker(tmp_path / "values", settings={"decision.abstain_below": 0.4})


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a face that the detector finds."""
    data = pytest.importorskip("skimage.data", reason="the photograph is part of the extra [demo]")
    image = cv2.cvtColor(cv2.resize(data.astronaut(), (320, 320)), cv2.COLOR_RGB2BGR)
    path = tmp_path_factory.mktemp("clip") / "face.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (320, 320))
    for _ in range(12):
        writer.write(image)
    writer.release()
    return path


@pytest.mark.parametrize("kind", RULES)
def test_every_output_carries_every_kind(
    tmp_path: Path, kind: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra [demo]")
    reader = Reader(Config())
    outputs = {"jsonl": "o.jsonl", "annotate": "o.mp4", "trajectory": "o.png"}
    for name, file in outputs.items():
        reader.set(f"output.{name}", str(tmp_path / file), "test")
    reader.set("bundle.path", str(tiny.write(tmp_path / "b", **RULES[kind])), "test")
    reader.set("source.address", str(clip), "test")
    reader.set("output.summary", "json", "test")
    (track,) = service.run(reader.config)
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert len(lines) >= 8
    assert json.loads(capsys.readouterr().out)["uncertain"] == 0
    keys, since = list(lines[-1]), ["label_since_s", "uncertain_since_s"]
    fields = {
        "softmax": ["label", *since, "probabilities"],
        "sigmoid": ["label", *since, "labels", "probabilities"],
        "values": ["label", *since, "values"],
    }[kind]
    at = keys.index("label")
    assert keys[at : keys.index("warm")] == fields
    assert (track.text().split(" ")[0], track.estimates) == ("calm", len(lines))
    for file in outputs.values():
        assert (tmp_path / file).stat().st_size > 0
    _check_numbers(kind, lines)


def _check_numbers(kind: str, lines: list[dict[str, object]]) -> None:
    """The tiny network sums up the mean of the face in its first two logits; the last stays at 0."""
    for line in lines:
        if kind == "values":
            assert line["label"] is None
            assert line["values"]["calm"] > 0 == line["values"]["cross"]
        if kind == "sigmoid":
            assert line["label"] is None
            assert line["labels"] == ["calm", "cross"], "no probability reaches 1"
            assert sum(line["probabilities"].values()) > 1.4
        if kind == "softmax":
            assert line["label"] == "calm"
            assert sum(line["probabilities"].values()) == pytest.approx(1, abs=2e-4)


FLAT = {"decision.check_face": False}  # one gray level is no face


@pytest.mark.parametrize("kind", RULES)
def test_the_library_gives_each_kind_and_small_faces_are_uncertain(tmp_path: Path, kind: str) -> None:
    folder, image = tiny.write(tmp_path / "b", **RULES[kind]), np.full((200, 200), 99, np.uint8)
    faces = [Face(np.array([10, 10, 10 + side, 10 + side], np.float32)) for side in (90, 30)]
    with edge.ExpressionTracker(folder, settings=FLAT) as tracker:
        for at in range(3):
            estimates = tracker.update(image, at / 10, [faces[0]])
        large = estimates[0]
    with edge.ExpressionTracker(folder, settings=FLAT) as tracker:
        for at in range(3):
            estimates = tracker.update(image, at / 10, [faces[1]])
        small = estimates[0]
    assert small.label == "uncertain"
    assert not small.present
    assert large.label == ("calm" if kind == "softmax" else None)
    assert [len(large.probabilities), len(large.values)] == ([0, 3] if kind == "values" else [3, 0])
    assert re.search("sigmoid|softmax", json.dumps(large.to_dict())) is None


@given(
    arrays(np.float32, (2, 8), elements=st.floats(-80, 80, width=32)),
    st.floats(0.05, 20),
)
def test_one_row_and_many_have_the_same_softmax(logits: np.ndarray, temperature: float) -> None:
    """They are computed in two ways, both in float64."""
    meaning = answers.OneOf(tuple("abcdefgh"), temperature)
    for row, expected in zip(logits, meaning.numbers(logits), strict=True):
        for shaped in (row, row[None], row[None, None]):
            numbers = meaning.numbers(shaped)
            assert numbers.dtype == np.float32
            assert numbers.shape == shaped.shape
            assert np.abs(numbers.ravel() - expected).max() <= 1.2e-7, "one step of a float32 near 1"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_row_that_is_not_finite_gives_no_numbers(wrong: float) -> None:
    for place in range(3):
        logits = np.zeros(3, np.float32)
        logits[place] = wrong
        assert not np.isfinite(answers.OneOf(tuple("abc")).numbers(logits)).any()

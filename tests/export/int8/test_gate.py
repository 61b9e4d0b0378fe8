"""The gate says no where it should, names the figure, and keeps a failing file out of the bundle."""

import numpy as np
import pytest

from edge import bundle as bundles
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

pytestmark = pytest.mark.export
pytest.importorskip("onnx")
pytest.importorskip("torch")

from export.__main__ import main  # noqa: E402
from export.bundle.golden import draw  # noqa: E402
from export.data.labeled import Labeled, read_labeled  # noqa: E402
from export.int8.gate import Budgets, compare, gate, read_budgets  # noqa: E402


@pytest.fixture(scope="module")
def reference():
    return bundles.load(bundles.REFERENCE)


@pytest.fixture(scope="module")
def data(reference):
    """Cartoons, labeled with what the fp32 network says, so that it is always right."""
    from export.metrics.accuracy import still_logits

    images = draw(20, 48, np.random.default_rng(5))[:, ::6].reshape(-1, 48, 48)
    labels = still_logits(OrtEngine(reference.model("fp32")), reference, images)[:, -1].argmax(-1)
    return Labeled(images, labels)


class Disturbed:
    """fp32 whose logits are changed by ``change``, from its ``late``-th run on."""

    def __init__(self, path, change, late=0) -> None:
        self._real, self._change, self._late, self._runs = OrtEngine(path), change, late, 0
        self.inputs, self.outputs = self._real.inputs, self._real.outputs

    def run(self, feeds):
        self._runs += 1
        out = self._real.run(feeds)
        return {**out, "logits": self._change(out["logits"])} if self._runs > self._late else out


def test_int8_passes(reference, data, tmp_path, capsys) -> None:
    np.savez(tmp_path / "faces.npz", images=data.images, labels=data.labels)
    page = tmp_path / "gate.html"
    given = ["verify", str(reference.folder), "--data", str(tmp_path / "faces.npz"), "--page", str(page)]
    budgets = tmp_path / "gate.toml"
    # A label that hangs on a thousandth of a logit flips; 40 cartoons are few, so one flip is 2.5 points.
    budgets.write_text("accuracy_loss = 0.06\nmin_cosine = 0.99\n")
    assert main([*given, "--budgets", str(budgets)]) == 0
    assert "BROKEN" not in page.read_text()
    assert "int8-cpu: accuracy" in capsys.readouterr().out
    budgets.write_text("min_cosine = 0.9999999\n")
    with pytest.raises(SystemExit) as stop:
        main([*given, "--budgets", str(budgets)])
    assert stop.value.code == 1
    assert "BROKEN" in page.read_text()
    assert "BROKEN  int8-cpu, min cosine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda logits: np.roll(logits, 1, axis=-1), "accuracy lost"),
        (lambda logits: logits + 3, "min cosine"),
        (lambda logits: logits * np.nan, "min cosine"),
    ],
)
def test_a_wrong_file_breaks_the_figure(reference, data, change, words: str) -> None:
    path = reference.model("fp32")
    checks, _ = gate(
        reference, {"fp32": OrtEngine(path), "int8-cpu": Disturbed(path, change)}, data, Budgets()
    )
    assert any(words in what and not passed for what, *_, passed in checks), checks


def test_an_error_that_grows_over_a_stream_is_caught() -> None:
    steps = np.linspace(0, 1, 300, dtype=np.float32)[None, :, None]
    b = np.ones((2, 300, 3), np.float32) * [3, 2, 1]
    same = {"accuracy": 1.0, "classes": {}}
    checks = compare(
        "x", same, same, ((b + 0.01 * steps).astype(np.float32), b.astype(np.float32)), Budgets()
    )
    assert [what for what, *_, passed in checks if not passed] == ["x, growth of the error over a stream"]


def test_a_class_that_is_lost_is_named() -> None:
    row = {"n": 100, "recall": 0.9}
    expected = {"accuracy": 0.9, "classes": {"fear": row, "rare": {"n": 9, "recall": 1.0}}}
    lost = {"fear": {"n": 100, "recall": 0.85}, "rare": {"n": 9, "recall": 0.0}}
    flat = np.ones((1, 60, 2), np.float32)
    checks = compare("x", {"accuracy": 0.9, "classes": lost}, expected, (flat, flat), Budgets())
    broken = [what for what, *_, passed in checks if not passed]
    assert broken == ["x, recall of fear lost (n=100)"], "nine faces prove nothing"


@pytest.mark.parametrize(("text", "words"), [("speed = 1", "speed"), ("class_n = 'a'", "'a'"), ("x", "TOML")])
def test_budgets_are_checked(tmp_path, text: str, words: str) -> None:
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(EdgeError, match=words):
        read_budgets(tmp_path / "gate.toml")


def test_what_has_no_labels_is_no_labeled_set(reference, tmp_path) -> None:
    np.savez(tmp_path / "a.npz", crops=np.zeros((1, 2, 8, 8), np.uint8))
    assert read_labeled(tmp_path / "a.npz", reference) is None
    assert read_labeled(tmp_path / "clip.mp4", reference) is None
    (tmp_path / "b.npz").write_text("no archive")
    with pytest.raises(EdgeError, match=r"b\.npz"):
        read_labeled(tmp_path / "b.npz", reference)


def test_sensitivity_finds_the_layer_that_was_spoilt(reference, data, tmp_path, capsys, monkeypatch) -> None:
    import json

    import onnx

    from calibration import ranges
    from edge.preprocess import normalize_crops
    from export.int8 import sensitivity

    model = onnx.load(str(reference.model("fp32")))
    faces = normalize_crops(data.images, reference.manifest)
    table = ranges.summarize(ranges.observe(model, reference.state, [faces]), "minmax")
    spoilt = next(node for node in model.graph.node if node.op_type == "Conv")
    table[spoilt.input[0]] = [40 * end for end in table[spoilt.input[0]]]  # steps forty times too coarse
    few = Labeled(data.images[:12], data.labels[:12])
    streams = sensitivity.streams
    monkeypatch.setattr(sensitivity, "streams", lambda *given: streams(*given)[:2])  # for speed
    probe = sensitivity.Probe(reference, table, "cpu", few)
    alone, upto = sensitivity.sensitivity(probe)
    assert max(alone, key=lambda cost: cost.error).name == spoilt.name
    assert upto[-1].error > 10 * min(cost.error for cost in alone)
    kept, cost = sensitivity.choose_float(probe, alone, Budgets(accuracy_loss=0.2, min_cosine=0.99))
    assert kept[0] == spoilt.name
    assert cost.min_cosine >= 0.99
    with pytest.raises(EdgeError, match="no layer"):
        sensitivity.choose_float(probe, alone, Budgets(min_cosine=1.1))

    np.savez(tmp_path / "few.npz", images=few.images, labels=few.labels)
    (tmp_path / "r.json").write_text(json.dumps({"format": 1, "tensors": table}))
    (tmp_path / "gate.toml").write_text("accuracy_loss = 0.2\nmin_cosine = 0.99\n")
    given = ["sensitivity", str(reference.folder), "--ranges", str(tmp_path / "r.json")]
    given += ["--data", str(tmp_path / "few.npz"), "--budgets", str(tmp_path / "gate.toml")]
    assert main([*given, "--plot", str(tmp_path / "s.png")]) == 0
    assert f"leave in float: {spoilt.name}" in capsys.readouterr().out
    assert (tmp_path / "s.png").stat().st_size > 10_000

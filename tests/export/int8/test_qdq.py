"""The two dialects: what each keeps, what the linter catches, and NVIDIA's own parser as the judge."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge import bundle as bundles
from edge.engines.golden import reproduces
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from nvidia_judge import parse  # noqa: E402

from calibration import ranges as tables  # noqa: E402
from calibration.sequences import SequenceRecipe, generate  # noqa: E402
from edge.preprocess import normalize_crops  # noqa: E402
from edge.system.hashing import sha256  # noqa: E402
from export.bundle.golden import draw  # noqa: E402
from export.graph.states import tensors  # noqa: E402
from export.int8 import qdq  # noqa: E402
from export.int8.half import to_half  # noqa: E402
from export.int8.lint import fused_convolutions, lint  # noqa: E402
from export.parity import proof  # noqa: E402

STATE = tensors({"state_h": (96,)})


@pytest.fixture(scope="module")
def reference():
    return bundles.load(bundles.REFERENCE)


@pytest.fixture(scope="module")
def model(reference):
    return onnx.load(str(reference.model("fp32")))


def sequences(count: int, steps: int, seed: int = 0) -> np.ndarray:
    """Generated sequences of cartoons, which move, change and pass under a camera's faults."""
    rng = np.random.default_rng(seed)
    images = draw(12, 48, rng)[:, ::6].reshape(-1, 48, 48)
    labels = np.arange(len(images)) % 8
    return np.stack([generate(images, labels, rng, SequenceRecipe(steps=steps)).crops for _ in range(count)])


@pytest.fixture(scope="module")
def table(model, reference):
    faces = [normalize_crops(crops, reference.manifest) for crops in sequences(16, 32)]
    return tables.summarize(tables.observe(model, STATE, faces), "minmax")


def write(model, folder, name="model.onnx"):
    onnx.save(model, str(folder / name))
    return folder / name


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("dialect", qdq.DIALECTS)
def test_a_dialect_keeps_its_rules_and_the_logits(
    model, table, reference, dialect: str, recurrent: bool, tmp_path
) -> None:
    made = qdq.quantize(model, table, dialect, recurrent)
    assert lint(made, dialect) == []
    assert lint(made, "trt" if dialect == "cpu" else "cpu"), "the other dialect's rules must not hold"
    path = write(made, tmp_path)
    faces = np.stack([normalize_crops(crops, reference.manifest) for crops in sequences(4, 300, seed=5)])
    expected = proof.roll(OrtEngine(reference.model("fp32")), STATE, faces)
    found = proof.roll(OrtEngine(path), STATE, faces)
    cosine = (found * expected).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(expected, axis=-1)
    # Cartoons far from the training faces have small logits, whose direction rounding turns most.
    assert np.quantile(cosine, 0.01) > 0.999
    assert cosine.min() > 0.995
    drift = np.abs(found - expected).max(axis=(0, 2))
    assert drift[-50:].mean() <= 2 * drift[:50].mean() + 0.05, "the error must not grow with the stream"


def test_every_convolution_becomes_one_kernel(model, table, tmp_path) -> None:
    path = write(qdq.quantize(model, table, "cpu"), tmp_path)
    assert fused_convolutions(path) == (9, 9), "seven of the encoder, two that tell a face"


def test_a_missing_range_is_named(model, table) -> None:
    less = {name: span for name, span in table.items() if name != "face" and "hardtanh_3" not in name}
    with pytest.raises(EdgeError, match="hardtanh_3"):
        qdq.quantize(model, less, "cpu")


def test_layers_can_stay_in_float(model, table) -> None:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    made = qdq.quantize(model, table, "cpu", keep_float={conv.name})
    assert any("its weights are in float" in line for line in lint(made, "cpu"))


def broken(model, table, dialect: str, how):
    made = qdq.quantize(model, table, dialect)
    how(made)
    return lint(made, dialect)


def set_constant(made, ending: str, value) -> None:
    tensor = next(t for t in made.graph.initializer if t.name.endswith(ending))
    tensor.CopyFrom(onnx.numpy_helper.from_array(value(onnx.numpy_helper.to_array(tensor)), tensor.name))


@pytest.mark.parametrize(
    ("dialect", "how", "words"),
    [
        ("cpu", lambda m: set_constant(m, "weight/constant1", lambda v: v[:1]), "one per channel"),
        ("cpu", lambda m: set_constant(m, "bias/constant1", lambda v: v * 2), "scale of its bias"),
        ("trt", lambda m: set_constant(m, "mul_6/constant1", lambda v: np.array(3, np.int8)), "zero point 3"),
        ("trt", lambda m: set_constant(m, "weight/constant0", lambda v: v.astype(np.int16)), "int16"),
    ],
)
def test_the_linter_names_what_breaks(model, table, dialect: str, how, words: str) -> None:
    lines = broken(model, table, dialect, how)
    assert any(words in line for line in lines), lines
    assert all("node" in line for line in lines)


def test_an_integer_bias_breaks_the_tensorrt_dialect(model, table) -> None:
    made = qdq.quantize(model, table, "cpu")
    assert any("float bias only" in line for line in lint(made, "trt"))


def test_half_keeps_the_logits_and_the_interface(model, reference, tmp_path) -> None:
    path = write(to_half(model), tmp_path)
    engine = OrtEngine(path)
    proof.check_interface(engine, STATE)
    assert reproduces(engine, reference).passed
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    huge = np.full(tuple(weight.dims), 1e6, np.float32)
    next(t for t in made.graph.initializer if t.name == weight.name).CopyFrom(
        onnx.numpy_helper.from_array(huge, weight.name)
    )
    with pytest.raises(EdgeError, match="more than float16 holds"):
        to_half(made)


def test_half_rounds_the_face_as_float32_does(model, tmp_path) -> None:
    """In float16 a face of 127 grid steps is a sixteenth of a step off: enough for its neighbor."""
    grid = next(node for node in model.graph.node if node.op_type == "Round").output[0]
    rng, rounded = np.random.default_rng(5), []
    face = rng.normal(size=(1, 1, 48, 48)).astype(np.float32)
    for made in (model, to_half(model)):
        shown = onnx.ModelProto()
        shown.CopyFrom(made)
        shown.graph.output.append(onnx.helper.make_tensor_value_info(grid, onnx.TensorProto.FLOAT, None))
        session = ort.InferenceSession(shown.SerializeToString())
        state = proof.zero(STATE, 1)
        rounded.append(session.run([grid], {"face": face, **state})[0])
    np.testing.assert_array_equal(*rounded)


@pytest.mark.parametrize("shown", [(), ("scaled",), ("whole",)])
@pytest.mark.parametrize("shared", [False, True])
def test_half_leaves_any_input_on_its_grid(shown: tuple[str, ...], shared: bool) -> None:
    """A divisor that float16 cannot hold is no weight; a tensor that is also an output keeps its name."""
    step = 3e-6 if not shown else 0.03
    nodes = [
        onnx.helper.make_node("Div", ["x", "step"], ["scaled"]),
        onnx.helper.make_node("Round", ["scaled"], ["whole"]),
        onnx.helper.make_node("Mul", ["whole", "step" if shared else "gain"], ["y"]),
    ]
    values = [onnx.helper.make_tensor_value_info(n, 1, [4]) for n in ("x", "y", *shown)]
    graph = onnx.helper.make_graph(nodes, "toy", values[:1], values[1:], [
        onnx.numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (("step", step), ("gain", 0.5)) if name == "step" or not shared
    ])  # fmt: skip
    made = to_half(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    )
    x = (np.array([-3.2, 0.4, 1.7, 900], np.float32) * np.float32(step)).astype(np.float32)
    found = ort.InferenceSession(made.SerializeToString()).run(["y"], {"x": x})[0]
    gain = np.float16(step) if shared else np.float16(0.5)
    np.testing.assert_allclose(found, np.array([-3, 0, 2, 900]) * float(gain), rtol=2e-3)
    used = {name for node in made.graph.node for name in node.input}
    assert {tensor.name for tensor in made.graph.initializer} <= used


def test_the_command_lists_what_passes_and_nothing_else(model, reference, table, tmp_path, capsys) -> None:
    from export.__main__ import main

    folder = tmp_path / "bundle"
    shutil.copytree(reference.folder, folder)
    about = {"method": "minmax", "data_sha256": "0", "steps": 512}
    about["model_sha256"] = sha256(reference.model("fp32"))
    tables.write(tmp_path / "r.json", table, about)
    assert main(["quantize", str(folder), "--ranges", str(tmp_path / "r.json"), "--fp16"]) == 0
    assert set(bundles.load(folder).precisions) == {"fp32", "int8-cpu", "int8-trt", "fp16"}

    bad = {name: [span[0] / 20, span[1] / 20] for name, span in table.items()}
    tables.write(tmp_path / "bad.json", bad, about)
    with pytest.raises(SystemExit) as stop:
        main(["quantize", str(folder), "--ranges", str(tmp_path / "bad.json"), "--dialect", "cpu"])
    assert stop.value.code == 1
    assert "NOT listed" in capsys.readouterr().out
    assert "int8-cpu" not in bundles.load(folder).precisions
    assert not (folder / "model.int8-cpu.onnx").exists()

    tables.write(tmp_path / "other.json", table, {**about, "model_sha256": "1" * 64})
    assert main(["quantize", str(folder), "--ranges", str(tmp_path / "other.json")]) == 2
    assert "another model" in capsys.readouterr().err


def test_four_frames_from_a_zero_state_are_caught(model, reference, tmp_path) -> None:
    """Ranges from one short sequence: the recurrent products clip, and the golden check says so."""
    faces = [normalize_crops(sequences(1, 16)[0][:4], reference.manifest)]
    small = tables.summarize(tables.observe(model, STATE, faces), "minmax")
    path = write(qdq.quantize(model, small, "cpu", recurrent=True), tmp_path)
    assert not reproduces(OrtEngine(path), reference).passed


def test_a_swapped_label_order_is_caught(model, reference, tmp_path) -> None:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for name in ("head.output.weight", "head.output.bias"):
        tensor = next(t for t in made.graph.initializer if t.name == name)
        value = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value[::-1]), name))
    assert not reproduces(OrtEngine(write(made, tmp_path)), reference).passed


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
def test_nvidias_parser_builds_the_tensorrt_dialect(
    model, table, recurrent: bool, half: bool, tmp_path
) -> None:
    made = qdq.quantize(model, table, "trt", recurrent)
    accepted, size, complaint = parse(write(to_half(made) if half else made, tmp_path))
    assert accepted, complaint
    assert size > 100_000


def test_nvidias_parser_refuses_the_processors_dialect(model, table, tmp_path) -> None:
    accepted, _, complaint = parse(write(qdq.quantize(model, table, "cpu"), tmp_path))
    assert not accepted
    assert "Int32" in complaint or "shiftIsAllZeros" in complaint


@pytest.mark.parametrize("dialect", ["cpu", "trt"])
def test_polygraphy_agrees_with_the_parser(model, table, dialect: str, tmp_path) -> None:
    """``polygraphy inspect capability`` is what users of TensorRT ask; it names the node it refuses."""
    pytest.importorskip("polygraphy", reason="no Polygraphy; make judge installs it")
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    made = write(qdq.quantize(model, table, dialect), tmp_path)
    told = subprocess.run(
        [Path(sys.executable).with_name("polygraphy"), "inspect", "capability", made],
        env={**os.environ, "POLYGRAPHY_USE_TENSORRT_RTX": "1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    said = told.stdout + told.stderr
    assert told.returncode == 0, said
    if dialect == "trt":
        assert "fully supported" in said.lower(), said
    else:
        assert "shiftIsAllZeros" in said, said
        assert "QuantizeLinear" in said, "the node is not named"


def test_json_of_ranges_is_plain(table) -> None:
    assert json.loads(json.dumps(table)) == table

"""Pair-safe weights: exact in the fast kernel of x86 processors before VNNI, and marked so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

import old_x86  # noqa: E402
import tiny  # noqa: E402

from edge import bundle as bundles  # noqa: E402
from edge.engines.ort import OrtEngine  # noqa: E402
from edge.manifest import parse  # noqa: E402
from edge.system import pair_safe as mark  # noqa: E402
from edge.system.ort_session import session_options  # noqa: E402
from export.bundle.golden import add_golden  # noqa: E402
from export.int8 import pairs, qdq  # noqa: E402
from export.int8.lint import lint  # noqa: E402
from export.int8.quantize import add_precisions, write_int8  # noqa: E402

SIZE = 7


@st.composite
def layers(draw):
    """(operator, weight, axis of its output channels, groups): any size, also odd, grouped and depthwise."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        shape, groups, op = (draw(st.integers(1, 40)), draw(st.integers(1, 20))), 1, "Gemm"
        axis = draw(st.integers(0, 1))
    else:
        groups, kernel = draw(st.integers(1, 5)), draw(st.sampled_from([(1, 1), (3, 3), (2, 3), (5, 5)]))
        shape = (groups * draw(st.integers(1, 9)), draw(st.integers(1, 17)), *kernel)
        axis, op = 0, "Conv"
    kind = draw(st.sampled_from(["normal", "heavy", "one sign", "sparse", "equal", "one pair"]))
    weight = rng.standard_normal(shape)
    if kind == "heavy":
        weight = weight**5
    elif kind == "one sign":
        weight = np.abs(weight) * draw(st.sampled_from([-1, 1]))
    elif kind == "sparse":
        weight *= rng.random(shape) < 0.2
    elif kind == "equal":
        weight = np.full(shape, draw(st.sampled_from([-0.3, 0.7])))
    elif kind == "one pair":
        weight = one_pair(shape, axis, rng)
    return op, (weight * 10.0 ** draw(st.integers(-6, 3))).astype(np.float32), axis, groups


def one_pair(shape: tuple[int, ...], axis: int, rng: np.random.Generator) -> np.ndarray:
    """Nothing but two neighbors in each channel's sum, as large as can be: a wrong order shows in full."""
    count = shape[axis]
    rows = np.zeros((count, int(np.prod(shape)) // count))
    first = rng.integers(0, rows.shape[1], count)
    rows[np.arange(count), first] = rows[np.arange(count), np.minimum(first ^ 1, rows.shape[1] - 1)] = 1
    if len(shape) == 2:
        return rows if axis == 0 else rows.T
    return np.moveaxis(rows.reshape(count, *shape[2:], shape[1]), -1, 1)


def channels_last(values: np.ndarray, axis: int) -> np.ndarray:
    """(output channels, K), written out plainly."""
    rows = []
    for channel in np.moveaxis(values, axis, 0):
        places = [channel[(slice(None), *at)] for at in np.ndindex(channel.shape[1:])]
        rows.append(np.concatenate(places))
    return np.stack(rows).astype(np.int64)


def pmaddubsw(codes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Sums (N,M) of u8 codes (N,K) by s8 steps (M,K) as old x86 adds them: pairs saturate in 16 bits."""
    odd = codes.shape[1] % 2
    products = np.pad(codes[:, None] * steps, ((0, 0), (0, 0), (0, odd)))
    return products.reshape(*products.shape[:2], -1, 2).sum(-1).clip(-(2**15), 2**15 - 1).sum(-1)


@given(layers(), st.integers(0, 2**32 - 1))
def test_no_pair_saturates_and_the_scale_is_no_larger_than_that_takes(layer, seed: int) -> None:
    _, weight, axis, _ = layer
    steps, scale = pairs.quantize(weight, axis)
    rows = channels_last(steps, axis)
    codes = np.random.default_rng(seed).choice([0, 255], (16, rows.shape[1]))
    codes[:2] = [[0], [255]]
    codes = np.concatenate([codes, np.where(rows > 0, 255, 0), np.where(rows < 0, 255, 0)])
    np.testing.assert_array_equal(pmaddubsw(codes, rows), codes @ rows.T)
    assert np.abs(rows).max() <= 127
    assert list(pairs.broken(steps, axis)) == []

    others = tuple(at for at in range(weight.ndim) if at != axis)
    error = steps * np.expand_dims(scale, others).astype(np.float64) - weight
    assert (np.abs(error) <= np.expand_dims(scale, others) * 1.001).all(), "a weight is a step off at most"
    even = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(rows), -1, 2)
    fullest = np.maximum(np.abs(rows).max(1), np.abs(even.sum(-1)).max(1) - 1)
    assert (fullest[scale > 1e-9] >= 125).all(), "a step is left unused"


@given(layers())
def test_the_sum_of_an_input_channel_is_kept(layer) -> None:
    """Alike pixels see only that sum. It is off by half a step at most, unless a pair stood in the way."""
    _, weight, axis, _ = layer
    steps, scale = pairs.quantize(weight, axis)
    real = np.moveaxis(weight.astype(np.float64), axis, 0) / scale.reshape(-1, *[1] * (weight.ndim - 1))
    taken = np.moveaxis(steps, axis, 0)
    over = tuple(range(2, weight.ndim))
    kept, nearest = (np.abs((each - real).sum(axis=over)) for each in (taken, np.rint(real)))
    assert kept.mean() <= nearest.mean() + 1e-6


def test_weights_rounded_to_the_nearest_do_saturate() -> None:
    """So the test above can fail."""
    weight = np.ones((1, 2, 1, 1), np.float32)
    steps, _ = qdq._nearest(weight, 0)
    rows = channels_last(steps, 0)
    assert pmaddubsw(np.full((1, 2), 255), rows) != 255 * rows.sum()
    assert list(pairs.broken(steps, 0)) == [(0, 0, 127, 127)]


@pytest.mark.parametrize(
    ("pair", "holds"),
    [((64, 64), True), ((64, 65), False), ((-64, -64), True), ((-65, -64), False), ((127, -127), True),
     ((127, 1), True), ((127, 2), False), ((-128, 0), True)],
)  # fmt: skip
def test_the_bound_is_where_int16_ends(pair: tuple[int, int], holds: bool) -> None:
    steps = np.array(pair, np.int8).reshape(1, 2)
    assert (list(pairs.broken(steps, 0)) == []) == holds
    extreme = np.where(np.array([[1, 1], pair]) > 0, 255, 0)
    extreme = np.concatenate([extreme, 255 - extreme, np.full((1, 2), 255)])
    exact = (pmaddubsw(extreme, steps.astype(int)) == extreme @ steps.T.astype(int)).all()
    assert exact == holds


def network(op: str, weight: np.ndarray, axis: int, groups: int):
    """x -> the layer -> h -> y = -h, and the shape of x."""
    attributes: dict[str, object] = {"group": groups, "pads": [1] * (2 * (weight.ndim - 2))}
    shape = [3, weight.shape[1] * groups, *[SIZE] * (weight.ndim - 2)]
    if op == "Gemm":
        attributes, shape = {"transB": int(axis == 0)}, [3, weight.size // weight.shape[axis]]
    bias = np.zeros(weight.shape[axis], np.float32)
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(op, ["x", "w", "b"], ["h"], name="layer", **attributes),
            onnx.helper.make_node("Neg", ["h"], ["y"]),
        ], "one",
        [onnx.helper.make_tensor_value_info("x", 1, shape)],
        [onnx.helper.make_tensor_value_info("y", 1, list("nchw")[: weight.ndim])],
        [onnx.numpy_helper.from_array(weight, "w"), onnx.numpy_helper.from_array(bias, "b")],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), shape


def answer(model: bytes, x: np.ndarray, pair_safe: bool) -> np.ndarray:
    options = session_options(pair_safe=pair_safe)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(["y"], {"x": x})[0]


@settings(max_examples=40)
@given(layers(), st.integers(0, 2**32 - 1), st.booleans())
def test_the_fast_kernel_answers_as_the_slow_one_bit_for_bit(layer, seed: int, signed: bool) -> None:
    """Where the processor has no VNNI, this proves the order of the sum."""
    model, shape = network(*layer)
    low, high = (-127.0, 128.0) if signed else (0.0, 255.0)
    x = np.random.default_rng(seed).choice([low, high], shape).astype(np.float32)
    x[0], x[1] = low, high
    reach = float(np.abs(answer(model.SerializeToString(), x, True)).max()) or 1.0
    span = [-127.0, 127.0] if signed else [low, high]
    made = qdq.quantize(model, {"x": span, "h": [-reach, reach]}, "cpu", recurrent=True)
    assert lint(made, "cpu") == []
    content = made.SerializeToString()
    assert mark.is_pair_safe(content)
    np.testing.assert_array_equal(answer(content, x, True), answer(content, x, False))


def test_the_linter_names_node_channel_and_pair() -> None:
    weight = np.full((3, 4, 1, 1), 0.1, np.float32)
    model, _ = network("Conv", weight, 0, 1)
    made = qdq.quantize(model, {"x": [0, 1], "h": [0, 1]}, "cpu")
    steps = next(t for t in made.graph.initializer if t.name == "h/weight/constant0")
    value = onnx.numpy_helper.to_array(steps).copy()
    value[1, 2:, 0, 0] = [-100, -29]
    steps.CopyFrom(onnx.numpy_helper.from_array(value, steps.name))
    (line,) = lint(made, "cpu")
    assert "layer" in line
    assert "channel 1, pair 2-3: the weights -100 and -29 exceed 128" in line
    del made.metadata_props[:]
    assert lint(made, "cpu") == [], "a file that does not say so keeps finer weights"


def test_only_the_mark_itself_counts() -> None:
    def made(**entries: str) -> bytes:
        model, _ = network("Gemm", np.ones((2, 2), np.float32), 0, 1)
        for key, value in entries.items():
            model.metadata_props.add(key=key.replace("__", mark.KEY), value=value)
        return model.SerializeToString()

    assert mark.is_pair_safe(made(other="1", __=mark.VALUE))
    for content in (made(), made(other="1"), made(__="0"), b"", b"no ONNX file", made(__="1")[:-1]):
        assert not mark.is_pair_safe(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """The reference in INT8: pair-safe, as until 0.2.0, and the latter with a mark that lies."""
    reference, folder = bundles.load(bundles.REFERENCE), tmp_path_factory.mktemp("pairs")
    model, old = (onnx.load(str(reference.model(name))) for name in ("fp32", "int8-cpu"))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in old.graph.initializer}
    ranges = {}
    for node in old.graph.node:
        if node.op_type == "QuantizeLinear":
            step, zero = (values[name].item() for name in node.input[1:3])
            ranges[node.input[0]] = [-127 * step, 127 * step] if zero else [0, 255 * step]
    paths = {name: folder / f"{name}.onnx" for name in ("safe", "fine", "lying")}
    write_int8(model, paths["safe"], ranges, "cpu")
    write_int8(model, paths["fine"], ranges, "cpu", pair_safe=False)
    lying = onnx.load(str(paths["fine"]))
    lying.metadata_props.add(key=mark.KEY, value=mark.VALUE)
    onnx.save(lying, str(paths["lying"]))
    return {name: str(path) for name, path in paths.items()}


def test_a_plain_session_answers_right_on_old_x86_and_a_lie_is_found(files) -> None:
    wanted = ["plain safe", "ours safe", "plain fine", "ours fine", "ours lying"]
    found = old_x86.cosines({what: files[what.split()[1]] for what in wanted})
    right = {what for what, cosine in found.items() if cosine >= 0.999}
    assert right == {"plain safe", "ours safe", "ours fine"}, found
    assert found["plain safe"] == found["ours safe"]


def test_the_engine_asks_for_the_kernel_that_the_file_can_bear(files) -> None:
    asked = {}
    for name, path in files.items():
        with OrtEngine(Path(path)) as engine:
            options = engine._session.get_session_options()
            asked[name] = options.get_session_config_entry("session.x64quantprecision")
    assert asked == {"safe": "0", "fine": "1", "lying": "0"}


def test_a_network_that_needs_finer_weights_gets_them(tmp_path, capsys) -> None:
    """Two large weights whose input is always zero, and small ones that say everything."""
    mask, weight = np.ones((1, 64, 1, 1), np.float32), np.ones((3, 64, 1, 1), np.float32)
    mask[:, :2] = 0
    weight[:, 2:] = np.arange(1, 4).reshape(3, 1, 1, 1) / np.float32(127)
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    constants = {"one": np.float32(1), "mask": mask, "w": weight, "b": np.zeros(3, np.float32)}
    graph = onnx.helper.make_graph(
        [
            node("SpaceToDepth", ["face"], ["pixels"], blocksize=8),
            node("Add", ["pixels", "one"], ["bright"]),
            node("Mul", ["bright", "mask"], ["masked"]),
            node("Conv", ["masked", "w", "b"], ["sums"], name="layer"),
            node("Flatten", ["sums"], ["logits"]),
            node("Identity", ["state_h"], ["new_state_h"]),
        ],
        "step",
        [value("face", 1, ["N", 1, 8, 8]), value("state_h", 1, ["N", 2])],
        [value("logits", 1, ["N", 3]), value("new_state_h", 1, ["N", 2])],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    folder = tiny.write(tmp_path / "b", model.SerializeToString())
    bundle = bundles.Bundle(folder, parse(tiny.manifest()))
    bundle = add_golden(bundle, OrtEngine(folder / "model.fp32.onnx"))
    made = add_precisions(bundle, model, {"masked": [0, 2], "sums": [0, 3]}, ["cpu"])
    refused, listed = capsys.readouterr().out.splitlines()
    assert "NOT listed" in refused
    assert "answers changed 0.00%" in listed
    assert made.precisions == ("fp32", "int8-cpu")
    assert not mark.is_pair_safe(made.model("int8-cpu").read_bytes())

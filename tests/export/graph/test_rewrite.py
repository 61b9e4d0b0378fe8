"""A window graph becomes a step: random recurrent networks, and refusals that name the node."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from windows import SIZE, Recipe, build  # noqa: E402

from export.graph import window  # noqa: E402
from export.graph.rewrite import rewrite  # noqa: E402
from export.parity import proof, references  # noqa: E402

RECIPES = st.builds(
    Recipe,
    kind=st.sampled_from(["GRU", "LSTM"]),
    hidden=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    steps=st.integers(2, 7),
    head=st.sampled_from(["last", "h_n", "mean", "max", "attention", "every"]),
    time_first=st.booleans(),
    bias=st.booleans(),
    reset_after=st.booleans(),
    initial=st.booleans(),
    softmax=st.booleans(),
    seed=st.integers(0, 99),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("windows")


def read(model, folder, recipe=Recipe()):  # noqa: B008
    path = folder / "window.onnx"
    onnx.save(model, str(path))
    return window.load(path, time_first=recipe.time_first)


def engine_of(step, folder):
    path = folder / "step.onnx"
    onnx.save(step.model, str(path))
    return OrtEngine(path)


def faces(rows, steps, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, steps, 1, SIZE, SIZE)).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(RECIPES)
def test_the_step_equals_onnx_runtimes_own_operators(folder, recipe: Recipe) -> None:
    frames = read(build(recipe), folder, recipe)
    step = rewrite(frames)
    engine = engine_of(step, folder)
    figures = proof.prove(engine, step.state, faces(3, 6 * recipe.steps), references.chained(frames, step))
    assert figures["compared_steps"] == 6
    assert figures["max_abs"] <= 1e-5
    kinds = {node.op_type for node in step.model.graph.node}
    assert not kinds & {"GRU", "LSTM", "Loop", "Scan"}


@settings(max_examples=80, deadline=None)
@given(RECIPES, st.sampled_from(["every-T", "two-phase"]))
def test_a_resetting_stream_equals_fresh_windows(folder, recipe: Recipe, reset: str) -> None:
    frames = read(build(recipe), folder, recipe)
    step = rewrite(frames, reset)
    steps, ask = recipe.steps, references.window_logits(frames, step)
    seen = faces(2, 4 * steps)
    found = proof.roll(engine_of(step, folder), step.state, seen)
    ends = [steps, 2 * steps, 4 * steps]
    if reset == "two-phase":
        ends += [steps + steps // 2, 2 * steps + steps // 2]
    for end in ends:
        expected = ask(seen[:, end - steps : end])
        np.testing.assert_allclose(found[:, end - 1], expected, atol=1e-5, err_msg=f"after {end} steps")


def test_a_young_window_repeats_its_first_output(folder) -> None:
    recipe = Recipe(head="mean", steps=6)
    frames = read(build(recipe), folder)
    mean, last = rewrite(frames), rewrite(read(build(Recipe(head="last", steps=6)), folder))
    seen = faces(1, 1)
    a = proof.roll(engine_of(mean, folder), mean.state, seen)
    b = proof.roll(engine_of(last, folder), last.state, seen)
    np.testing.assert_allclose(a, b, atol=1e-6)  # the mean of one output is that output


def changed(recipe=Recipe(), **attributes):  # noqa: B008
    """A window whose first recurrent node has further attributes."""
    model = build(recipe)
    node = next(node for node in model.graph.node if node.op_type in ("GRU", "LSTM"))
    for name, value in attributes.items():
        node.attribute.append(onnx.helper.make_attribute(name, value))
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (changed(clip=2.0), ["GRU node", "clips"]),
        (changed(Recipe(kind="LSTM"), input_forget=1), ["LSTM node", "input and forget"]),
        (changed(activations=["HardSigmoid", "Tanh"]), ["GRU node", "HardSigmoid"]),
        (changed(direction="reverse"), ["GRU node", "reverse", "not happened yet"]),
    ],
)
def test_recurrence_that_cannot_stream_is_named(folder, model, words) -> None:
    with pytest.raises(EdgeError) as caught:
        rewrite(read(model, folder))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def insert(model, before: str, op: str, *, attributes=None, extra=None, first=False):
    """Put ``op`` on the first input of the first (or last) ``before`` node."""
    nodes = list(model.graph.node)
    places = [at for at, node in enumerate(nodes) if node.op_type == before]
    at = places[0] if first else places[-1]
    inputs = [nodes[at].input[0]]
    if extra is not None:
        model.graph.initializer.append(onnx.numpy_helper.from_array(extra, "extra"))
        inputs.append("extra")
    made = onnx.helper.make_node(op, inputs, ["inserted"], name="the_culprit", **(attributes or {}))
    nodes[at].input[0] = "inserted"
    nodes.insert(at, made)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (insert(build(Recipe()), "GRU", "Softmax", attributes={"axis": 0}), "weighs different times"),
        (insert(build(Recipe()), "GRU", "CumSum", extra=np.array(0)), "joins different times"),
        (insert(build(Recipe()), "GRU", "Add", extra=np.arange(4, dtype=np.float32).reshape(4, 1, 1)),
         "embedding of positions"),
    ],
)  # fmt: skip
def test_what_joins_times_before_a_recurrent_layer_is_named(folder, model, word: str) -> None:
    with pytest.raises(EdgeError, match="the_culprit") as caught:
        rewrite(read(model, folder))
    assert word in str(caught.value)
    assert "before a recurrent layer" in str(caught.value)


@pytest.mark.parametrize(
    "model",
    [
        insert(build(Recipe(head="mean")), "ReduceMean", "CumSum", extra=np.array(1)),
        insert(build(Recipe(head="mean")), "ReduceMean", "Softmax", attributes={"axis": 1}),
        insert(
            build(Recipe(head="max")), "ReduceMax", "Mul", extra=np.arange(4, dtype=np.float32)[None, :, None]
        ),
    ],
)
def test_a_head_may_do_anything_to_the_window(folder, model) -> None:
    frames = read(model, folder)
    step = rewrite(frames)
    seen = faces(3, frames.steps)
    expected = references.window_logits(frames, step)(seen)
    np.testing.assert_allclose(
        proof.roll(engine_of(step, folder), step.state, seen)[:, -1], expected, atol=1e-5
    )


def test_a_window_without_recurrence_is_kept_as_frames(folder) -> None:
    """A mean over the features of frames: the last T of them are the state."""
    model = build(Recipe(head="mean"))
    gru = next(node for node in model.graph.node if node.op_type == "GRU")
    squeeze = next(node for node in model.graph.node if gru.output[0] in node.input)
    nodes = [node for node in model.graph.node if node is not gru and gru.output[1] not in node.input]
    squeeze.input[0] = gru.input[0]
    squeeze.op_type = "Identity"
    del squeeze.input[1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    weight = next(w for w in model.graph.initializer if list(w.dims) == [5, 3])
    weight.CopyFrom(onnx.numpy_helper.from_array(np.random.rand(4, 3).astype(np.float32), weight.name))
    frames = read(model, folder)
    step = rewrite(frames)
    assert [tensor.input for tensor in step.state] == ["state_seen", "state_window"]
    seen = faces(3, frames.steps)
    expected = references.window_logits(frames, step)(seen)
    np.testing.assert_allclose(
        proof.roll(engine_of(step, folder), step.state, seen)[:, -1], expected, atol=1e-5
    )

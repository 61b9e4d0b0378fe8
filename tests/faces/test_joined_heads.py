"""Joined heads compute what YuNet's own compute; a file of another kind stays as it is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.faces.joined_heads import joined
from edge.faces.yunet_cells import STRIDES, WIDTHS
from edge.faces.yunet_network import free_dimensions

MODEL = Path(__file__).parents[2].parent / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"
GROUPS = [{f"{kind}_{stride}": width for kind, width in WIDTHS.items()} for stride in STRIDES]

needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="shared/data has no YuNet model")


@needs_model
@pytest.mark.export
@pytest.mark.parametrize("size", [(64, 64), (128, 96), (160, 320)])
def test_the_joined_file_is_valid_and_computes_the_same(size: tuple[int, int]) -> None:
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    apart = free_dimensions(MODEL.read_bytes())
    whole = joined(apart, GROUPS)
    onnx.checker.check_model(onnx.ModelProto.FromString(whole), full_check=True)
    assert len(whole) < len(apart)
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, *size)).astype(np.float32)
    of_file, of_joined = (
        ort.InferenceSession(content, providers=["CPUExecutionProvider"]) for content in (apart, whole)
    )
    found = [output.reshape(16, -1).T for output in of_joined.run(None, {"input": picture})]
    for group, rows in zip(GROUPS, found, strict=True):
        expected = np.hstack([output[0] for output in of_file.run(list(group), {"input": picture})])
        rows[:, :2] = 1 / (1 + np.exp(-rows[:, :2]))
        # The same sums; only the sigmoid is computed in another way.
        assert np.abs(rows - expected).max() < 1e-5


def changed(onnx, how: str) -> bytes:
    model = onnx.load(MODEL)
    graph = model.graph
    convs = [node for node in graph.node if node.op_type == "Conv"]
    if how == "a stride":
        attribute = next(a for a in convs[-1].attribute if a.name == "strides")
        attribute.ints[:] = [2, 2]
    elif how == "a group":
        next(a for a in convs[-1].attribute if a.name == "group").i = 5
    elif how == "other features":
        convs[-2].input[0] = convs[-4].input[0]
    elif how == "a node between":
        next(node for node in graph.node if node.op_type == "Sigmoid").op_type = "HardSigmoid"
    elif how == "few values":
        weights = next(t for t in graph.initializer if t.name == convs[-1].input[1])
        weights.raw_data = weights.raw_data[:-4]
    elif how == "half":
        next(t for t in graph.initializer if t.name == convs[-1].input[1]).data_type = 10
    elif how == "a domain":
        convs[-1].domain = "elsewhere"
    elif how == "padding":
        convs[-1].attribute.append(onnx.helper.make_attribute("auto_pad", "SAME_UPPER"))
    elif how == "no bias":
        del convs[-1].input[2]
    return model.SerializeToString()


@needs_model
@pytest.mark.export
@pytest.mark.parametrize(
    "how",
    [
        "a stride", "a group", "other features", "a node between", "few values", "half", "a domain",
        "padding", "no bias",
    ],
)  # fmt: skip
def test_heads_of_another_kind_are_left_alone(how: str) -> None:
    onnx = pytest.importorskip("onnx")
    assert joined(changed(onnx, "nothing"), GROUPS) is not None
    assert joined(changed(onnx, how), GROUPS) is None


@needs_model
@given(st.data())
def test_bytes_that_changed_never_fail_otherwise(data) -> None:
    content = bytearray(MODEL.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=5)):
        content[at] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        joined(bytes(content), GROUPS)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([8, 58, 10, 18, 42, 2, 1, 255])).map(bytes))
def test_bytes_that_are_no_model_are_refused_or_left_alone(data: bytes) -> None:
    with suppress(ValueError):
        assert joined(data, GROUPS) is None


@pytest.mark.export
def test_sigmoids_in_a_circle_are_left_alone() -> None:
    onnx = pytest.importorskip("onnx")
    names = [name for group in GROUPS for name in group]
    nodes = [onnx.helper.make_node("Sigmoid", [name], [name]) for name in names]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "circle", [], []))
    assert joined(model.SerializeToString(), GROUPS) is None

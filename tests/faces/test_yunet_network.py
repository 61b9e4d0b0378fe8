"""YuNet on ONNX Runtime gives what OpenCV's FaceDetectorYN gives, and reads nothing but YuNet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.demo import ACTORS, _photograph
from edge.errors import BundleError
from edge.faces.yunet import _tinted, shrink
from edge.faces.yunet_cells import NMS_IOU, TOP_K
from edge.faces.yunet_network import YuNetNetwork, free_dimensions

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MODEL = DATA / "models" / "face_detection_yunet_2023mar.onnx"
CLIPS = sorted((DATA / "video").glob("*.*"))
LOWEST = 0.6
# Both compute in float32, in another order. A pixel's hundredth is far below what a crop shows.
WITHIN_PX, WITHIN_SCORE = 0.01, 1e-4

needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="shared/data has no YuNet model")
Image = npt.NDArray[np.uint8]


def network(model: Path = MODEL) -> YuNetNetwork:
    return YuNetNetwork(model, LOWEST, luma=_tinted(np.arange(256, dtype=np.uint8)[None])[0])


@pytest.fixture(scope="module")
def ours() -> YuNetNetwork:
    return network()


@pytest.fixture(scope="module")
def theirs() -> cv2.FaceDetectorYN:
    return cv2.FaceDetectorYN.create(str(MODEL), "", (64, 64), LOWEST, NMS_IOU, TOP_K)


def same_faces(ours: YuNetNetwork, theirs: cv2.FaceDetectorYN, image: Image) -> int:
    color = _tinted(image) if image.ndim == 2 else image
    theirs.setInputSize(color.shape[1::-1])
    _, expected = theirs.detect(color)
    found = ours.detect(image)
    if expected is None:
        assert found == []
        return 0
    difference = np.abs(np.array(found) - expected)
    assert difference[:, :14].max() < WITHIN_PX
    assert difference[:, 14].max() < WITHIN_SCORE
    return len(found)


def variants(picture: Image) -> Iterator[Image]:
    """In color and luma, as wide as a board would take it and wider, also with odd sides."""
    for width in (96, 127, 160, 241, 320, 480):
        small = shrink(picture, width)
        yield small
        yield cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)


@needs_model
@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
def test_photographs_give_the_boxes_of_opencv(ours, theirs, actor) -> None:
    photograph = _photograph(actor)
    # More than 32 pixels high even at the least width: there OpenCV's Resize differs from the ONNX standard.
    crowd = np.hstack([photograph, photograph[:, ::-1]])
    assert sum(same_faces(ours, theirs, image) for image in variants(photograph)) >= 8
    assert sum(same_faces(ours, theirs, image) for image in variants(crowd)) >= 8


@needs_model
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_clips_give_the_boxes_of_opencv(ours, theirs, clip: Path) -> None:
    video = cv2.VideoCapture(str(clip))
    for index in range(181):
        good, picture = video.read()
        if good and index % 45 == 20:
            for image in variants(picture):
                same_faces(ours, theirs, image)


@needs_model
def test_nothing_of_the_last_picture_stays(ours: YuNetNetwork) -> None:
    """Two sizes that are padded to one: the second must not see the border of the first."""
    bright, photograph = np.full((160, 160, 3), 255, np.uint8), shrink(_photograph(ACTORS[0]), 150)
    ours.detect(bright)
    assert ours.detect(photograph) == network().detect(photograph)


@needs_model
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_strided_picture_is_read_as_it_looks(ours: YuNetNetwork, channels: tuple[int, ...]) -> None:
    photograph = shrink(_photograph(ACTORS[0]), 130)
    image = photograph if channels else cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY)
    wide = np.full((image.shape[0], 200, *channels), 99, np.uint8)
    wide[:, 30:160] = image
    found = ours.detect(wide[:, 30:160])
    assert len(found) == 1
    assert found == ours.detect(image)


def message(number: int, *payloads: bytes) -> bytes:
    """One field of Protocol Buffers that holds bytes, for each payload."""
    return b"".join(varint(number << 3 | 2) + varint(len(payload)) + payload for payload in payloads)


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def model(field: int, dim_values: list[bytes]) -> bytes:
    """A model of one value, with a name, an element type and a denotation beside its dimensions."""
    dimensions = [value + message(3, b"\x08\x05") for value in dim_values]
    tensor = b"\x08\x01" + message(2, message(1, *dimensions))
    value = message(1, b"\x08name") + message(2, message(1, tensor))
    return b"\x08\x06" + message(7, message(5, b"\x08\x01") + message(field, value)) + b"\x1d\0\0\0\0"


@given(st.sampled_from([11, 12, 13]), st.lists(st.integers(0, 2**40), max_size=5))
def test_every_number_and_nothing_else_is_freed(field: int, sizes: list[int]) -> None:
    fixed = model(field, [b"\x08" + varint(size) for size in sizes])
    assert free_dimensions(fixed) == model(field, [b"\x78" + varint(size) for size in sizes])
    assert free_dimensions(free_dimensions(fixed)) == free_dimensions(fixed)


def test_sizes_that_bear_a_name_and_other_fields_stay() -> None:
    named, weights = model(11, [message(2, b"\x08wide")]), model(6, [b"\x08\x03"])
    assert free_dimensions(named) == named
    assert free_dimensions(weights) == weights


@given(st.binary(max_size=200) | st.lists(st.sampled_from([8, 58, 90, 18, 10, 2, 1, 255])).map(bytes))
def test_bytes_that_are_no_model_never_fail_otherwise(data: bytes) -> None:
    with suppress(ValueError):
        assert len(free_dimensions(data)) == len(data)


@needs_model
@pytest.mark.export
def test_the_freed_file_is_yunet_without_sizes() -> None:
    onnx = pytest.importorskip("onnx")
    before, after = (onnx.ModelProto.FromString(f(MODEL.read_bytes())) for f in (bytes, free_dimensions))
    for graph in (before.graph, after.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            for dimension in value.type.tensor_type.shape.dim:
                assert graph is before.graph or not dimension.HasField("dim_value")
                dimension.Clear()
    assert before == after


@needs_model
@pytest.mark.export
def test_yunet_of_another_fixed_size_works(tmp_path: Path, ours: YuNetNetwork) -> None:
    onnx = pytest.importorskip("onnx")
    small = onnx.load(MODEL)
    for index, size in ((2, 96), (3, 320)):
        small.graph.input[0].type.tensor_type.shape.dim[index].dim_value = size
    del small.graph.value_info[:], small.graph.output[:]
    small = onnx.shape_inference.infer_shapes(small)
    small.graph.output.extend(onnx.load(MODEL).graph.output)
    onnx.save(small, tmp_path / "small.onnx")
    photograph = shrink(_photograph(ACTORS[1]), 160)
    assert network(tmp_path / "small.onnx").detect(photograph) == ours.detect(photograph)


@needs_model
@pytest.mark.export
def test_a_yunet_whose_heads_are_not_joined_gives_the_same(tmp_path: Path, ours: YuNetNetwork) -> None:
    onnx = pytest.importorskip("onnx")
    other = onnx.load(MODEL)
    last = next(node for node in other.graph.node if "cls_8" in node.output)
    last.output[0] = "inner"
    other.graph.node.append(onnx.helper.make_node("Identity", ["inner"], ["cls_8"]))
    onnx.save(other, tmp_path / "other.onnx")
    apart = network(tmp_path / "other.onnx")
    assert ours._joint
    assert not apart._joint
    for image in variants(_photograph(ACTORS[0])):
        assert np.allclose(apart.detect(image), ours.detect(image), atol=1e-3)


@pytest.mark.export
def test_outputs_of_other_shapes_are_named(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    names = [f"{kind}_{stride}" for stride in (8, 16, 32) for kind in ("cls", "obj", "bbox", "kps")]
    values = [onnx.helper.make_tensor_value_info(name, 1, None) for name in ("input", *names)]
    nodes = [onnx.helper.make_node("Identity", ["input"], [name]) for name in names]
    graph = onnx.helper.make_graph(nodes, "echo", values[:1], values[1:])
    opsets = [onnx.helper.make_opsetid("", 11)]
    onnx.save(onnx.helper.make_model(graph, ir_version=6, opset_imports=opsets), tmp_path / "echo.onnx")
    with pytest.raises(
        BundleError, match=r"is not a YuNet .*cls_8 is \(1, 3, 64, 64\), expected \(1, 64, 1\)"
    ):
        network(tmp_path / "echo.onnx")

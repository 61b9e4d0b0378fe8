"""Encoders as texts: what they build, what is refused, and that old checkpoints still fit."""

import pytest

from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def test_the_network_that_ships_keeps_the_names_of_its_weights() -> None:
    from export.train.networks import FrameEncoder

    named, written = (FrameEncoder(text).state_dict() for text in ("plain-m", "32|48,48 | 96, 96|192,192"))
    assert list(named) == list(written)
    assert {key.rsplit(".", 2)[0] for key in named if key.endswith("0.weight")} == {
        "layers.0", *(f"layers.{block}.{name}" for block in (2, 3, 4) for name in ("first", "second")),
    }  # fmt: skip
    assert written["layers.4.second.0.weight"].shape == (192, 192, 3, 3)


@pytest.mark.parametrize(
    ("text", "features", "side", "first"),
    [
        ("s2 32 | 64,64 | 128,128", 128, 6, (32, 1, 3, 3)),
        ("s2d4 96,96 | 192,192", 192, 6, (96, 16, 3, 3)),
        ("s2d2k5 48 | +64,+64", 64, 12, (48, 4, 5, 5)),
        ("s2k5 32, 48,48 | 96", 96, 12, (32, 1, 5, 5)),
        ("16", 16, 48, (16, 1, 3, 3)),
        ("residual-l", 192, 6, (32, 1, 3, 3)),
    ],
)
def test_a_text_builds_what_it_says(text: str, features: int, side: int, first: tuple[int, ...]) -> None:
    from export.train.networks import FrameEncoder

    encoder = FrameEncoder(text).eval()
    maps = encoder.maps(torch.zeros(2, 1, 48, 48))
    assert (encoder.features, encoder.side) == (features, side)
    assert maps.shape == (2, features, side, side)
    assert encoder.layers[0][0].weight.shape == first


def test_equal_neighbors_make_a_block_and_only_the_first_of_a_stage_halves() -> None:
    from export.train.encoders import parse

    blocks = parse("s2 32 | 64,64,64,96 | +128,+128").blocks
    assert [(block.kind, block.channels, block.stride) for block in blocks] == [
        ("plain", 64, 2), ("single", 64, 1), ("single", 96, 1), ("residual", 128, 2), ("residual", 128, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "plain-x", "s2", "s2 ", "32 |", "32 | ,64", "0", "s3 32", "s2d5 32", "k4 32"]
)
def test_what_is_no_encoder_is_one_line_that_lists_them(text: str) -> None:
    from export.train.encoders import parse

    with pytest.raises(EdgeError, match=r"unknown encoder .*plain-m.*s2 32 \| 64,64") as told:
        parse(text)
    assert "\n" not in str(told.value)


def test_a_face_cannot_be_halved_for_ever() -> None:
    from export.train.encoders import parse

    with pytest.raises(EdgeError, match="halves a face of 48 pixels too often"):
        parse("s2 8" + " | 8" * 5)


def test_the_folder_of_an_encoder_holds_no_sign_of_a_shell() -> None:
    from export.train.encoders import NAMED, folder_name

    texts = [*NAMED, *NAMED.values(), "s2 32 | +64"]
    names = {folder_name(text) for text in texts}
    assert len(names) == len(texts)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789+-") for name in names)

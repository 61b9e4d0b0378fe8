"""The golden check can fail."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from edge import bundle
from edge.engines.golden import compare, reproduces, roll
from edge.engines.ort import OrtEngine
from edge.errors import BundleError
from edge.manifest import BundleFile


def test_compare() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((50, 4, 3)).astype(np.float32)
    assert compare(logits, logits).passed
    assert compare(logits + 1e-3, logits).passed
    assert not compare(logits[..., ::-1], logits).passed, "a swapped label order must be seen"
    assert not compare(np.full_like(logits, np.nan), logits).passed
    one_off = logits.copy()
    one_off[3, 2] = -one_off[3, 2]
    assert not compare(one_off, logits).passed, "one wrong step of 200 must be seen"


def test_a_bundle_reproduces_its_own_golden_and_no_other(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    loaded = bundle.load(folder)
    engine = OrtEngine(loaded.model("fp32"))
    with pytest.raises(BundleError, match=r"no golden\.npz"):
        reproduces(engine, loaded)
    crops = np.random.default_rng(0).integers(0, 256, (19, 5, 8, 8), np.uint8)
    logits = roll(engine, loaded, crops)
    assert reproduces(engine, with_golden(folder, crops=crops, logits=logits)).passed
    assert reproduces(engine, with_golden(folder, crops=crops, logits=logits.astype(np.float16))).passed
    wrong = logits * [1, 1, 1] + [0, 0, 3]
    assert not reproduces(engine, with_golden(folder, crops=crops, logits=wrong)).passed


def test_a_brief_comparison_takes_the_first_eight_sequences(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    engine = OrtEngine(bundle.load(folder).model("fp32"))
    crops = np.random.default_rng(0).integers(0, 256, (19, 5, 8, 8), np.uint8)
    logits = roll(engine, bundle.load(folder), crops)
    for at, passes in ((8, True), (7, False)):
        wrong = logits.copy()
        wrong[at] *= -1
        loaded = with_golden(folder, crops=crops, logits=wrong)
        assert not reproduces(engine, loaded).passed
        assert reproduces(engine, loaded, brief=True).passed is passes


def with_golden(folder: Path, save=np.savez_compressed, **arrays) -> bundle.Bundle:
    """The tiny bundle with a golden.npz of these arrays."""
    save(folder / "golden.npz", **arrays)
    digest = hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()
    loaded = bundle.load(folder)
    return replace(loaded, manifest=replace(loaded.manifest, golden=BundleFile("golden.npz", digest)))


CROPS, LOGITS = np.zeros((9, 5, 8, 8), np.uint8), np.zeros((9, 5, 3), np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"crops": CROPS}, "it contains crops, expected crops and logits"),
        ({"crops": CROPS[:0], "logits": LOGITS[:0]}, "expected 1 to 2,048 steps"),
        ({"crops": CROPS[:, :0], "logits": LOGITS[:, :0]}, "expected 1 to 2,048 steps"),
        ({"crops": CROPS, "logits": LOGITS[:5]}, r"logits are float32 \(5, 5, 3\), expected .* \(9, 5, 3\)"),
        ({"crops": CROPS, "logits": LOGITS[..., :2]}, r"expected float32 \(9, 5, 3\)"),
        ({"crops": CROPS[..., :7], "logits": LOGITS}, r"crops are uint8 .*, expected uint8 \(M, T, 8, 8\)"),
        ({"crops": CROPS.astype(np.float32), "logits": LOGITS}, "crops are float32"),
        ({"crops": CROPS[0], "logits": LOGITS}, "crops are uint8"),
        ({"crops": CROPS, "logits": LOGITS.astype(np.int32)}, "logits are int32"),
        ({"crops": CROPS, "logits": LOGITS + np.nan}, "logits are not finite"),
        ({"crops": CROPS, "logits": LOGITS + 1e30}, "logits are not finite"),
        ({"crops": CROPS.astype(object), "logits": LOGITS}, "crops: no array of numbers"),
        ({"crops": np.zeros((1, 2049, 8, 8), np.uint8), "logits": np.zeros((1, 2049, 3))}, "2,048 steps"),
    ],
)
def test_another_file_is_one_line(tmp_path: Path, arrays: dict, words: str) -> None:
    folder = tiny.write(tmp_path / "b")
    loaded = with_golden(folder, **arrays)
    with pytest.raises(BundleError, match=rf"golden\.npz: .*{words}.*; export the bundle again") as caught:
        reproduces(OrtEngine(loaded.model("fp32")), loaded)
    assert "\n" not in str(caught.value)


def test_one_that_changed_since_it_was_hashed_is_not_parsed(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    loaded = with_golden(folder, crops=CROPS, logits=LOGITS)
    (folder / "golden.npz").write_bytes(b"another")
    with pytest.raises(BundleError, match="does not match its manifest"):
        reproduces(OrtEngine(loaded.model("fp32")), loaded)

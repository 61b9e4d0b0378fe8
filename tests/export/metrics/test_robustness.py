"""Every fault leaves a picture alone at its first level and hurts at its last."""

import numpy as np
import pytest

from edge import bundle as bundles

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from calibration import degrade  # noqa: E402
from edge.engines.ort import OrtEngine  # noqa: E402
from export.metrics.robustness import FAULTS, curves  # noqa: E402


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"compression", "face size"}))
def test_the_first_level_is_no_fault(name: str) -> None:
    image = np.random.default_rng(0).integers(30, 220, (48, 48)).astype(np.uint8)
    _, levels, fault = FAULTS[name]
    harmless = fault(image, levels[0], np.random.default_rng(0)).astype(int)
    worst = fault(image, levels[-1], np.random.default_rng(0)).astype(int)
    assert np.abs(harmless - image).max() <= 1
    assert np.abs(worst - image).mean() > 10


def test_a_face_loses_detail_by_its_size_in_the_frame() -> None:
    noise = np.random.default_rng(0).integers(30, 220, (48, 48)).astype(np.uint8)
    image = degrade.blur(noise, 1.0)
    _, levels, fault = FAULTS["face size"]
    lost = {
        side: np.abs(fault(image, side, np.random.default_rng(0)).astype(int) - image).mean()
        for side in levels
    }
    assert lost[48] == 0
    assert max(lost[side] for side in levels if side > 48) < lost[32] < lost[24] < lost[16]


def test_curves_fall(tmp_path) -> None:
    bundle = bundles.load(bundles.REFERENCE)
    with np.load(bundles.REFERENCE / "golden.npz") as golden:
        crops, logits = golden["crops"][:, 0], golden["logits"][:, 0]
    labels = logits.argmax(axis=-1)
    engine = OrtEngine(bundle.model("fp32"))
    found = curves({"fp32": engine}, bundle, crops, labels)
    assert set(found) == set(FAULTS)
    for row in found.values():
        shares = row["accuracy"]["fp32"]
        assert len(shares) == len(row["levels"])
        assert shares[0] >= 0.95
    fallen = [name for name, row in found.items() if row["accuracy"]["fp32"][-1] < row["accuracy"]["fp32"][0]]
    assert len(fallen) >= 6, "most faults must cost something at their worst"

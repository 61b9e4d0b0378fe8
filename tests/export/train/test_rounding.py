"""Quantization-aware fine-tuning: what it rounds is what INT8 rounds, and it repairs what rounding breaks."""

import numpy as np
import pytest

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def test_rounded_weights_survive_folding_and_quantizing() -> None:
    """Per channel and before the batch norm is folded in: the quantizer must find nothing left to round."""
    from export.train.networks import FrameClassifier
    from export.train.rounding import keep_rounded, round_in_training

    torch.manual_seed(0)
    model = FrameClassifier("plain-s")
    conv, norm = model.encoder.layers[2].first
    norm.weight.data.uniform_(0.2, 3.0)
    round_in_training(model)
    keep_rounded(model)
    folded = conv.weight * norm.weight[:, None, None, None]
    steps = 127 * folded / folded.abs().amax(dim=(1, 2, 3), keepdim=True)
    assert (steps - steps.round()).abs().max() < 1e-3


def test_gradients_pass_and_evaluation_stays_exact() -> None:
    from export.train.networks import CEILING, BoundedReLU
    from export.train.rounding import keep_rounded, round_in_training

    relu = BoundedReLU()
    round_in_training(relu, bits=4)
    x = torch.linspace(-1, 6, 200, requires_grad=True)
    y = relu.train()(x)
    assert len(y.detach().unique()) == 2**3
    y.sum().backward()
    inside = (x > 0) & (x < CEILING)
    assert (x.grad[inside] == 1).all()
    assert (x.grad[(x < 0) | (x > CEILING)] == 0).all()
    torch.testing.assert_close(relu.eval()(x), x.clamp(0, CEILING))
    keep_rounded(relu)
    torch.testing.assert_close(relu.train()(x), x.clamp(0, CEILING))


def test_fine_tuning_repairs_what_coarse_rounding_breaks() -> None:
    """At three bits, where the effect is large enough for a test of seconds."""
    from torch.nn.functional import cross_entropy

    from export.train.networks import BoundedReLU, FrameClassifier
    from export.train.rounding import round_in_training

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((8, 1, 48, 48), dtype=np.float32)
    labels = torch.arange(256) % 8
    faces = torch.from_numpy(0.6 * kinds[labels] + rng.standard_normal((256, 1, 48, 48), dtype=np.float32))
    model = FrameClassifier("plain-s", dropout=0.0)

    def train(epochs: int, lr: float) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
        model.train()
        for _ in range(epochs):
            for rows in torch.randperm(256).reshape(4, 64):
                optimizer.zero_grad()
                cross_entropy(model(faces[rows]), labels[rows]).backward()
                optimizer.step()

    @torch.no_grad()
    def loss() -> float:
        """As it would run: batch norm fixed, activations rounded where that is asked for."""
        model.eval()
        for module in model.modules():
            module.training = isinstance(module, BoundedReLU)
        return float(cross_entropy(model(faces), labels))

    train(8, 0.05)
    exact = loss()
    round_in_training(model, bits=3)
    before = loss()
    train(6, 0.01)
    after = loss()
    assert exact < 0.1
    assert before > 3 * exact, "three bits were meant to hurt"
    assert after < before / 2

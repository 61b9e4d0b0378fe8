"""All weights of a network in a row, to compare."""

import pytest

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])

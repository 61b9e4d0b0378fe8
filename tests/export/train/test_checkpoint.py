"""Checkpoints of other data, of another recipe or damaged are refused; heads are kept with their recipe."""

import numpy as np
import pytest
from network_weights import weights

from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def test_checkpoints_of_other_data_are_refused(tmp_path) -> None:
    from export.train.train import _one_origin

    data, other = tmp_path / "a.npz", tmp_path / "b.npz"
    data.write_bytes(b"a")
    other.write_bytes(b"b")
    for _ in range(2):
        _one_origin(tmp_path / "work", data)
    with pytest.raises(EdgeError, match="other data"):
        _one_origin(tmp_path / "work", other)
    with pytest.raises(EdgeError, match="cannot make"):
        _one_origin(data / "work", data)


def test_a_checkpoint_of_another_recipe_is_refused(data, recipe, tmp_path) -> None:
    from dataclasses import replace

    from export.train.frames import train_frames

    short = replace(recipe, epochs=1)
    train_frames(data, short, tmp_path)
    with pytest.raises(EdgeError, match="another recipe"):
        train_frames(data, replace(short, seed=2), tmp_path)


def test_a_damaged_file_is_named(tmp_path) -> None:
    from export.train import checkpoint

    weights = torch.nn.Linear(2, 2)
    checkpoint.save(tmp_path / "a.pt", {"model": weights}, "r", 1)
    checkpoint.save_arrays(tmp_path / "a.npz", images=np.arange(100))
    assert checkpoint.load_arrays(tmp_path / "a.npz")["images"].tolist() == list(range(100))
    for name in ("a.pt", "a.npz"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(EdgeError, match=r"a\.pt is damaged.*remove it"):
        checkpoint.resume(tmp_path / "a.pt", {"model": weights}, "r")
    with pytest.raises(EdgeError, match=r"a\.npz is damaged.*remove it"):
        checkpoint.load_arrays(tmp_path / "a.npz")
    with pytest.raises(EdgeError, match="cannot write"):
        checkpoint.save(tmp_path / "nowhere" / "a.pt", {"model": weights}, "r", 1)


def test_the_head_is_kept_with_its_recipe(data, tmp_path) -> None:
    from dataclasses import replace

    from export.train.networks import StreamingNetwork
    from export.train.sequences import SequenceTrainingRecipe, train_sequences

    recipe = SequenceTrainingRecipe(sequences=4, dev_sequences=2, hidden=8, epochs=1, batch=2, stills=4)
    torch.manual_seed(0)
    model = StreamingNetwork("plain-s", "cnn-gru", 8).eval()
    before = weights(model.head)
    trained = weights(train_sequences(data, model, recipe, tmp_path).head)
    assert not torch.equal(before, trained)
    fresh = StreamingNetwork("plain-s", "cnn-gru", 8).eval()
    assert torch.equal(weights(train_sequences(data, fresh, recipe, tmp_path).head), trained)
    with pytest.raises(EdgeError, match="another recipe"):
        train_sequences(data, fresh, replace(recipe, seed=5), tmp_path)

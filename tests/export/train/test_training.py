"""Both training stages on a handful of random faces: seeded, resumable, no mixing of recipes."""

import numpy as np
import pytest
from network_weights import weights

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def frames(data, recipe, folder):
    from export.train.frames import train_frames

    return train_frames(data, recipe, folder)


def head(data, recipe, folder):
    from export.train.networks import StreamingNetwork
    from export.train.sequences import SequenceTrainingRecipe, train_sequences

    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    model = StreamingNetwork("plain-s", "cnn-gru", 8).eval()
    recipe = SequenceTrainingRecipe(sequences=8, dev_sequences=2, hidden=8, epochs=4, batch=2, stills=4)
    last = train_sequences(data, model, recipe, folder).head
    last.load_state_dict(torch.load(folder / "head-cnn-gru.pt", weights_only=True)["head"])  # not the best
    return last


@pytest.mark.parametrize("stage", [frames, head])
def test_a_run_that_was_interrupted_ends_where_an_unbroken_one_does(
    stage, data, recipe, tmp_path, monkeypatch, capsys
):
    from export.train import checkpoint

    whole = weights(stage(data, recipe, tmp_path))
    save, saves = checkpoint.save, []

    def save_then_stop(*args):
        save(*args)
        saves.append(args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            stage(data, recipe, tmp_path / "again")
    assert len(saves) == 1
    resumed = weights(stage(data, recipe, tmp_path / "again"))
    assert "resuming after epoch 1" in capsys.readouterr().err
    torch.testing.assert_close(resumed, whole, rtol=0, atol=1e-5)


def test_fine_tuning_that_is_asked_for_again_gives_the_same_weights(data, recipe, tmp_path) -> None:
    from export.train.frames import fine_tune, train_frames

    start = train_frames(data, recipe, tmp_path)
    once, again = (weights(fine_tune(data, start, recipe, 1, tmp_path / "fine")) for _ in range(2))
    assert not torch.equal(once, weights(start))
    assert torch.equal(once, again)


def test_a_head_is_the_same_whether_its_encoder_was_trained_or_read(data, recipe, tmp_path) -> None:
    from export.train.sequences import SequenceTrainingRecipe
    from export.train.stages import frame_networks, with_heads

    heads = SequenceTrainingRecipe(sequences=4, dev_sequences=2, hidden=8, epochs=1, batch=2, stills=4)

    def candidate():
        [(network, folder)] = frame_networks(data, [recipe], 0, 0, tmp_path)
        return with_heads(data, recipe, network, heads, folder)

    first = candidate()
    for name in ("head-cnn-gru.pt", "head-cnn.pt"):
        (tmp_path / f"seed-{recipe.seed}" / name).unlink()
    second = candidate()
    assert torch.equal(weights(first.model), weights(second.model))
    assert torch.equal(weights(first.per_frame), weights(second.per_frame))


def test_the_input_grid_and_the_ceiling_hold() -> None:
    from export.train.networks import CEILING, INPUT_STEP, BoundedReLU, to_grid
    from export.train.rounding import add_rounding_noise

    face = torch.linspace(-9, 9, 1001)
    steps = to_grid(face) / INPUT_STEP
    assert steps.abs().max() == pytest.approx(127)
    torch.testing.assert_close(steps, steps.round(), atol=1e-4, rtol=0)
    relu = BoundedReLU()
    assert relu(face).min() == 0
    assert relu(face).max() == CEILING
    add_rounding_noise(relu)
    noise = (relu.train()(face) - relu.eval()(face)).abs()
    assert 0 < noise.max() <= CEILING / 255 / 2


@pytest.mark.parametrize("family", ["cnn", "cnn-lstm", "cnn-gru-spatial-attention", "cnn-temporal-attention"])
def test_every_family_trains(data, tmp_path, family: str) -> None:
    from export.train.networks import StreamingNetwork
    from export.train.sequences import SequenceTrainingRecipe, train_sequences

    recipe = SequenceTrainingRecipe(
        sequences=4, dev_sequences=2, family=family, hidden=8, epochs=1, batch=2, stills=4
    )
    model = StreamingNetwork("plain-s", family, 8).eval()
    before = weights(model.head)
    assert not torch.equal(before, weights(train_sequences(data, model, recipe, tmp_path).head))


def test_a_head_over_time_learns_that_no_face_says_nothing(data) -> None:
    from export.train.networks import StreamingNetwork
    from export.train.sequences import _stills

    torch.manual_seed(0)
    model = StreamingNetwork("plain-s", "cnn-gru", 8).eval()
    before = data.images.copy()
    features, targets = _stills(data, model, 0, 0.0)
    spoilt, uniform = _stills(data, model, 0, 1.0)
    assert torch.equal(uniform, torch.full_like(uniform, 1 / 8))
    assert (targets.max(dim=1).values > 0.2).all()
    assert (features != spoilt).any(dim=1).all()
    np.testing.assert_array_equal(data.images, before)

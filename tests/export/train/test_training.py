"""Both training stages on a handful of random faces: seeded, resumable, no mixing of recipes."""

import numpy as np
import pytest

from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def data():
    from export.data.ferplus import FerPlus

    rng = np.random.default_rng(0)
    votes = np.zeros((120, 10), np.uint8)
    votes[np.arange(120), np.arange(120) % 4] = 8
    fold = np.where(np.arange(120) < 80, 0, np.where(np.arange(120) < 100, 1, 2)).astype(np.int8)
    return FerPlus(rng.integers(0, 256, (120, 48, 48)).astype(np.uint8), votes, fold)


@pytest.fixture(scope="module")
def recipe():
    from export.train.batches import FrameRecipe

    return FrameRecipe(encoder="plain-s", epochs=3, noisy_epochs=1, batch=8)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


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


def test_a_network_takes_the_answer_of_others_and_none_for_no_face(data, recipe, tmp_path) -> None:
    from dataclasses import replace

    from export.train.frames import predict, train_frames, training_rows

    answers = np.zeros((len(training_rows(data)), 8), np.float32)
    answers[:, 5] = 1
    told = replace(recipe, distil=1.0, no_faces=0.0, ema=0.5)
    network = train_frames(data, told, tmp_path / "faces", answers=answers)
    assert (predict(network, data.images).argmax(axis=1) == 5).all(), "no voter ever chose class 5"
    strange = replace(told, no_faces=1.0)
    network = train_frames(data, strange, tmp_path / "none", answers=answers)
    p = torch.from_numpy(predict(network, data.images)).softmax(dim=1)
    assert p.max() < 0.5, "pictures without a face were given the answer"
    with pytest.raises(ValueError, match="distil"):
        train_frames(data, recipe, tmp_path / "unheard", answers=answers)


def test_fewer_faces_than_a_batch_are_one_line(data, recipe, tmp_path) -> None:
    from dataclasses import replace

    from export.train.frames import train_frames

    with pytest.raises(EdgeError, match="fewer than a batch of 9999"):
        train_frames(data, replace(recipe, batch=9999), tmp_path)


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


def test_each_face_has_the_answer_that_was_given_to_it(data, recipe) -> None:
    from dataclasses import replace

    from export.train.batches import batches

    rows = np.arange(40)
    answers = np.eye(8, dtype=np.float32)[rows % 8]
    side = np.linspace(0, 200, 48).astype(np.uint8)  # of every second face the other half is the bright one
    faces = np.stack([np.tile(side[:: 1 - 2 * (row % 2), None], 48) for row in rows])
    calm = replace(recipe, epochs=1, calm=1.0, no_faces=0.0, distil=1.0)
    made = batches(faces, answers * 0, answers, np.full(40, 1 / 40), calm, 0)
    for shown, told in made:
        bright_above = shown[:, 0, :24].mean(dim=(1, 2)) > shown[:, 0, 24:].mean(dim=(1, 2))
        assert (told.argmax(dim=1) % 2 == bright_above.long()).all()


def test_the_mean_answer_is_that_of_all_networks_and_both_sides(data) -> None:
    from export.train.frames import answer, predict
    from export.train.networks import FrameClassifier

    torch.manual_seed(0)
    networks = [FrameClassifier("plain-s").eval() for _ in range(2)]
    images = data.images[:6]
    found = answer(networks, images)
    np.testing.assert_allclose(found, answer(networks, images[:, :, ::-1]), rtol=1e-4)
    sides = [
        torch.from_numpy(predict(t, i)).softmax(1) for t in networks for i in (images, images[:, :, ::-1])
    ]
    np.testing.assert_allclose(found, torch.stack(sides).mean(0), rtol=1e-5)


def test_networks_that_learn_together_are_told_what_all_of_them_say(
    data, recipe, tmp_path, monkeypatch
) -> None:
    from dataclasses import replace

    from export.train import stages

    recipes = [replace(recipe, seed=seed, epochs=1) for seed in (1, 2)]
    train_frames, calls = stages.train_frames, []

    def recorded(*args):
        calls.append((*args[1:], train_frames(*args)))
        return calls[-1][-1]

    monkeypatch.setattr(stages, "train_frames", recorded)
    found = stages.frame_networks(data, recipes, 2, 0, tmp_path)
    folders = [folder for _, folder in found]
    assert folders == [tmp_path / f"seed-{seed}" / folders[0].name for seed in (1, 2)]
    (first, second), both = calls[:2], calls[2:]
    alone = [first[-1], second[-1]]
    wanted = stages.answer(alone, data.images[stages.training_rows(data)])
    assert [start for _, _, start, _, _ in both] == alone
    for told, folder, _, answers, network in both:
        assert (told.epochs, f"seed-{told.seed - 1000}") == (2, folder.parent.name)
        np.testing.assert_array_equal(answers, wanted)
        assert (network, folder) in found


def test_calm_faces_are_shown_almost_as_they_are(recipe) -> None:
    from dataclasses import replace

    from export.train.batches import batches

    side = np.linspace(0, 250, 48).astype(np.uint8)
    face = np.stack([np.minimum.outer(side, side)] * 64)
    targets, even = np.zeros((64, 8), np.float32), np.full(64, 1 / 64)

    def detail(calm: float) -> float:
        shown = replace(recipe, calm=calm, no_faces=0.0)
        faces = torch.cat([faces for faces, _ in batches(face, targets, None, even, shown, 0)])
        return float(faces.diff(dim=3).abs().amax(dim=(1, 2, 3)).median())

    assert detail(1.0) < detail(0.0) / 2, "noise, blocks and covered parts make edges that this face has not"

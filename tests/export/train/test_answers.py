"""Networks that learn from each other's answers."""

import numpy as np
import pytest

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


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


def test_networks_that_learn_together_are_told_what_all_of_them_say(data, recipe, tmp_path) -> None:
    from dataclasses import replace

    from export.train import stages

    recipes = [replace(recipe, seed=seed, epochs=1) for seed in (1, 2)]
    calls = []

    def recorded(*args):
        calls.append((*args[1:], stages.train_frames(*args)))
        return calls[-1][-1]

    found = stages.frame_networks(data, recipes, 2, 0, tmp_path, recorded)
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

"""What a batch shows: each face with its answer, calm faces almost as they are."""

import numpy as np
import pytest

from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def test_fewer_faces_than_a_batch_are_one_line(data, recipe, tmp_path) -> None:
    from dataclasses import replace

    from export.train.frames import train_frames

    with pytest.raises(EdgeError, match="fewer than a batch of 9999"):
        train_frames(data, replace(recipe, batch=9999), tmp_path)


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

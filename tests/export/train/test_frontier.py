"""Which encoders are worth their time: from results to a table and a picture."""

import json

import pytest

from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


def result(encoder: str, epochs: int = 15, accuracy: float = 0.8, teacher: str = "") -> dict:
    figures = {"mmac": 1.5, "parameters": 2000, "dev_faces": 100, "accuracy": accuracy, "uar": 0.5}
    rounded = {"int8_accuracy": accuracy - 0.01, "int8_uar": 0.5}
    recipe = {"epochs": epochs, "seed": 11, "teacher": teacher}
    return {"encoder": encoder, **figures, **rounded, "recipe": recipe}


@pytest.fixture
def work(tmp_path):
    results = [
        result("8", 15, 0.7), result("16", 15, 0.8), result("16 | 8", 4), result("s2 8", teacher="0a1b"),
    ]  # fmt: skip
    for number, one in enumerate(results):
        folder = tmp_path / "work" / "encoders" / str(number)
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(one))
    return tmp_path / "work"


def test_only_runs_of_the_same_recipe_are_compared(work) -> None:
    from export.train import frontier

    before = [{"encoder": "8", "mmac": 1.5, "times": {"here": {"fp32": 1.0, "int8-cpu": 0.5}}}]
    rows = {row["encoder"]: row for row in frontier.collect(before, work, 15)}
    assert set(rows) == {"8", "16"}
    assert (rows["8"]["accuracy"], rows["8"]["times"]) == (0.7, before[0]["times"])


def test_times_are_kept_and_the_picture_needs_both(work, tmp_path, capsys, monkeypatch) -> None:
    from export.__main__ import main
    from export.train import frontier

    monkeypatch.setattr(frontier, "_ROUNDS", 2)
    file, picture = tmp_path / "results.json", tmp_path / "frontier.png"
    call = ["frontier", "--results", str(file), "--work", str(work)]
    assert main([*call, "--plot", str(picture)]) == 2
    assert "no encoder has both" in capsys.readouterr().err
    assert main([*call, "--times", "here", "--plot", str(picture), "s2 8 | 8"]) == 0
    said = capsys.readouterr().out
    assert "| s2 8 \\| 8 | 0.2 |" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = frontier.read(file)
    assert len(rows) == 3
    assert all(0 < row["times"]["here"][kind] < 2 for row in rows for kind in frontier.PRECISIONS)
    again = file.read_bytes()
    assert main([*call, "--times", "here"]) == 0, "what is there is not measured again"
    assert file.read_bytes() == again


def test_a_damaged_file_is_one_line(tmp_path) -> None:
    from export.train import frontier

    (tmp_path / "results.json").write_text("[{]")
    with pytest.raises(EdgeError, match=r"holds no results .* remove it"):
        frontier.read(tmp_path / "results.json")

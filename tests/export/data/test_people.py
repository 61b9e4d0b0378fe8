"""Pictures of the same people, matched by file name, and the table of who they are."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from edge.errors import EdgeError  # noqa: E402
from export.data import people  # noqa: E402


def plant(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_two_folders_and_two_endings_are_read_alike(tmp_path) -> None:
    plant(tmp_path, "neutral/a.jpg", "neutral/b.png", "neutral/notes.txt", "smile/a.png", "smile/b.jpg")
    plant(tmp_path, "all/a_neutral.jpg", "all/b_neutral.JPG", "all/a_smiling.jpg", "all/b_smiling.jpg",
          "all/people.csv", "all/_neutral.jpg")  # fmt: skip
    by_folder = people.read(tmp_path, "neutral", "smile")
    by_name = people.read(tmp_path / "all", "*_neutral.jpg", "*_smiling")
    by_way = people.read(tmp_path, "all/*_neutral", str(tmp_path / "all" / "*_smiling"))
    for found in (by_folder, by_name, by_way):
        assert [pair.person for pair in found] == ["a", "b"]
    assert (by_folder[0].neutral.name, by_folder[0].expressive.name) == ("a.jpg", "a.png")
    assert (by_name[1].neutral.name, by_name[1].expressive.name) == ("b_neutral.JPG", "b_smiling.jpg")


def test_the_table_gives_groups_and_ages_in_bands(tmp_path, caplog) -> None:
    plant(tmp_path, *(f"{kind}/{name}.jpg" for kind in ("neutral", "happiness") for name in "abc"))
    table = tmp_path / "people.csv"
    table.write_text("who,face_age,Sex\na,29,female\nb,61,male\nd,,male\n")
    found = people.read(tmp_path, "neutral", "happiness", table)
    assert [dict(pair.groups) for pair in found] == [
        {"face_age": "under 30", "Sex": "female"}, {"face_age": "60 and over", "Sex": "male"}, {}
    ]  # fmt: skip
    assert "lacks 1 of 3 persons" in caplog.text
    table.write_text("who,note\n" + "".join(f"{name},n{name}\n" for name in "abcdefghijklmnopqrstuvw"))
    assert not people.read(tmp_path, "neutral", "happiness", table)[0].groups
    assert "note has 23 values, too many for groups" in caplog.text


@pytest.mark.parametrize(
    ("names", "neutral", "words"),
    [(["neutral/a.jpg", "neutral/b.jpg", "smile/a.jpg"], "neutral", "no counterpart smile/b"),
     (["neutral/a.jpg", "smile/a.jpg", "smile/c.jpg"], "neutral", "no counterpart neutral/c"),
     (["neutral/a.jpg", "smile/a.jpg"], "neutral", "pictures of 1 person by 'neutral' and 'smile'"),
     (["neutral/a.jpg", "neutral/a.png", "smile/a.jpg"], "neutral", "are of one person"),
     (["neutral/notes.txt", "smile/notes.txt"], "neutral", "pictures of 0 persons"),
     (["smile/a.jpg"], "neutral", "is no folder"),
     (["smile/a.jpg"], "*_*.jpg", "stands for the person, once")],
)  # fmt: skip
def test_what_are_no_pairs_is_one_line(tmp_path, names, neutral, words) -> None:
    with pytest.raises(EdgeError) as fault:
        people.read(plant(tmp_path, *names), neutral, "smile")
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"", "names none of the persons"), (b"who,sex\nz,f\n", "names none of the persons, such as 'a'"),
     (b"who,sex\na\n", "'a' has 1 values, the header 2"), (b"who,sex\na,f\na,m\n", "names 'a' twice"),
     (b"who\n\xff\n", "cannot be read"), (None, "cannot be read")],
)  # fmt: skip
def test_a_table_of_another_kind_is_one_line(tmp_path, text, words) -> None:
    plant(tmp_path, "neutral/a.jpg", "neutral/b.jpg", "smile/a.jpg", "smile/b.jpg")
    if text is not None:
        (tmp_path / "people.csv").write_bytes(text)
    with pytest.raises(EdgeError, match=words) as fault:
        people.read(tmp_path, "neutral", "smile", tmp_path / "people.csv")
    assert "\n" not in str(fault.value)

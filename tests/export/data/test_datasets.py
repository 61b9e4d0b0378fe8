"""Somebody's labeled set: the published layouts."""

from pathlib import Path

import pytest

from edge.errors import EdgeError

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from export.data import datasets  # noqa: E402

TREES = {
    "crema-d": (
        ["VideoFlash/1001_DFA_ANG_XX.flv", "VideoFlash/1002_IEO_HAP_HI.flv", "AudioWAV/1001_DFA_ANG_XX.wav",
         "VideoFlash/1040_ITH_SAD_X.flv"],
        {"1001_DFA_ANG_XX": ("anger", "1001", {"sex": "Male", "race": "Caucasian",
                                                "ethnicity": "Not Hispanic", "age": "45 to 59"}),
         "1002_IEO_HAP_HI": ("happiness", "1002", {}), "1040_ITH_SAD_X": ("sadness", "1040", {})},
    ),
    "ravdess": (
        ["Actor_01/01-01-03-02-01-01-01.mp4", "Actor_02/02-01-08-01-02-01-02.mp4",
         "Actor_02/01-01-02-01-01-01-02.mp4", "Actor_02/03-01-03-01-01-01-02.wav",
         "Actor_01/02-01-03-02-01-01-01.mp4", "Actor_01/01-01-03-02-01-01-01 copy.mp4"],
        {"01-01-03-02-01-01-01": ("happiness", "01", {"sex": "male"}),
         "02-01-08-01-02-01-02": ("surprise", "02", {"sex": "female"})},
    ),
    "afew": (
        ["Train_AFEW/Happy/000111.avi", "Val_AFEW/Angry/000046280.avi", "Val_AFEW/Sad/000055.avi"],
        {"000046280": ("anger", "", {}), "000055": ("sadness", "", {})},
    ),
    "dfew": (
        ["Clip/original/part_1/1.mp4", "Clip/clip_224x224/00002/00001.jpg", "Clip/original/3.mp4",
         "Clip/clip_224x224/00001/00001.jpg"],
        {"1": ("fear", "", {}), "00002": ("happiness", "", {})},
    ),
    "folder": (
        ["happy/a.mp4", "happy/b.jpg", "Fear/frames/1.png", "Fear/notes.txt"],
        {"a": ("happiness", "", {}), "b": ("happiness", "", {}), "frames": ("fear", "", {})},
    ),
}  # fmt: skip


def plant(root: Path, kind: str) -> None:
    for name in TREES[kind][0]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    if kind == "crema-d":
        (root / "VideoDemographics.csv").write_text(
            "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n"
        )
    if kind == "dfew":
        for number in (1, 2):
            part = root / "EmoLabel_DataSplit" / "test(single-labeled)"
            part.mkdir(parents=True, exist_ok=True)
            (part / f"set_{number}.csv").write_text(f"video_name,label\n{number},{(7, 1)[number - 1]}\n")
        train = root / "EmoLabel_DataSplit" / "train(single-labeled)"
        train.mkdir()
        (train / "set_1.csv").write_text("video_name,label\n3,2\n")


@pytest.mark.parametrize("kind", TREES)
def test_a_published_layout_is_read(kind: str, tmp_path) -> None:
    plant(tmp_path, kind)
    found = {
        clip.path.stem: (clip.label, clip.subject, dict(clip.groups))
        for clip in datasets.read(kind, tmp_path)
    }
    assert found == TREES[kind][1]


def test_crops_of_dfew_are_taken_where_crops_are_meant(tmp_path, caplog) -> None:
    plant(tmp_path, "dfew")
    (tmp_path / "Clip" / "clip_224x224" / "00002" / "00001.jpg").unlink()
    (tmp_path / "Clip" / "clip_224x224" / "00002").rmdir()
    (clip,) = datasets.read("dfew", tmp_path, cropped=True)
    assert clip.path == tmp_path / "Clip" / "clip_224x224" / "00001"
    assert "1 of 2 clips of the tables are not in" in caplog.text


def test_the_people_of_crema_d_are_found_beside_its_films(tmp_path, caplog) -> None:
    plant(tmp_path, "crema-d")
    first = datasets.read("crema-d", tmp_path / "VideoFlash")[0]
    assert first.groups["sex"] == "Male"
    film = first.path.with_suffix(".mp4")
    film.touch()
    assert len(datasets.read("crema-d", tmp_path)) == len(TREES["crema-d"][1]), "a converted film counts once"
    film.unlink()
    (tmp_path / "VideoDemographics.csv").unlink()
    assert not datasets.read("crema-d", tmp_path)[0].groups
    assert "no VideoDemographics.csv" in caplog.text


@pytest.mark.parametrize("kind", TREES)
def test_another_folder_is_refused_with_what_was_expected(kind: str, tmp_path) -> None:
    (tmp_path / "readme.txt").touch()
    with pytest.raises(EdgeError, match="expected"):
        datasets.read(kind, tmp_path)
    with pytest.raises(EdgeError, match="nowhere does not exist, expected a folder with "):
        datasets.read(kind, tmp_path / "nowhere")


def test_a_table_that_is_not_as_published_is_one_line(tmp_path) -> None:
    plant(tmp_path, "dfew")
    table = tmp_path / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv"
    for text in ("video,label\n1,7\n", "video_name,label\n1,fear\n", "video_name,label\n1\n"):
        table.write_text(text)
        with pytest.raises(EdgeError, match=r"cannot be read as dfew \(.+\); expected EmoLabel_DataSplit"):
            datasets.read("dfew", tmp_path)


def test_unknown_names_are_refused(tmp_path) -> None:
    (tmp_path / "hapiness").mkdir()
    with pytest.raises(EdgeError, match="hapiness"):
        datasets.read("folder", tmp_path)
    with pytest.raises(EdgeError, match="ferplus, crema-d"):
        datasets.read("cremad", tmp_path)

"""Somebody's labeled set: the published layouts, and figures that count what they should."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.errors import EdgeError
from edge.manifest import parse

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from edge.capture.demo import DemoSource  # noqa: E402
from export.data import datasets  # noqa: E402
from export.data.datasets import Clip  # noqa: E402
from export.metrics.set_report import report  # noqa: E402

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
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
    with pytest.raises(EdgeError, match="no folder"):
        datasets.read(kind, tmp_path / "nowhere")


def test_a_table_that_is_not_as_published_is_one_line(tmp_path) -> None:
    plant(tmp_path, "dfew")
    table = tmp_path / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv"
    for text in ("video,label\n1,7\n", "video_name,label\n1,fear\n", "video_name,label\n1\n"):
        table.write_text(text)
        with pytest.raises(EdgeError, match="does not read as dfew"):
            datasets.read("dfew", tmp_path)


def test_labeled_faces_of_another_form_are_refused(tmp_path) -> None:
    from export.data import labeled

    bundle = bundles.load(bundles.REFERENCE)
    for images, labels in (((4, 48, 48, 3), 4), ((4, 48, 48), 3)):
        np.savez(tmp_path / "a.npz", images=np.zeros(images, np.uint8), labels=np.zeros(labels, int))
        with pytest.raises(EdgeError, match="expected gray faces"):
            labeled.need_labeled(tmp_path / "a.npz", bundle)
    for labels in (np.array(["fear", "anger"]), np.array([0.0, 1.0])):
        np.savez(tmp_path / "a.npz", images=np.zeros((2, 48, 48), np.uint8), labels=labels)
        with pytest.raises(EdgeError, match=r"labels \(N,\) of integers"):
            labeled.need_labeled(tmp_path / "a.npz", bundle)
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 48, 48), np.uint8), labels=np.array([0, 8]))
    with pytest.raises(EdgeError, match="labels from 0 to 8; expected 0 to 7"):
        labeled.need_labeled(tmp_path / "a.npz", bundle)


def test_unknown_names_are_refused(tmp_path) -> None:
    (tmp_path / "hapiness").mkdir()
    with pytest.raises(EdgeError, match="hapiness"):
        datasets.read("folder", tmp_path)
    with pytest.raises(EdgeError, match="ferplus, crema-d"):
        datasets.read("cremad", tmp_path)


def test_figures_of_a_set_whose_answers_are_known() -> None:
    """40 men, all right; 40 women, half of them right, ten without a face; one clip of a rare class wrong."""
    clips = [Clip(Path("m"), "anger", f"m{i // 4}", {"sex": "male"}) for i in range(40)]
    clips += [Clip(Path("w"), "anger", f"w{i // 4}", {"sex": "female"}) for i in range(40)]
    clips += [Clip(Path("s"), "sadness", "x", {"sex": "other"})]
    p = np.full((81, 8), 0.05, np.float32)
    p[:60, LABELS.index("anger")] = 0.6
    p[60:70, LABELS.index("contempt")], p[60:70, LABELS.index("anger")] = 0.5, 0.3
    p[70:80] = np.nan
    p[80, 0] = 0.9
    found = report(p, clips, LABELS)
    assert found["war"]["value"] == pytest.approx(60 / 81, abs=1e-4)
    assert found["uar"]["value"] == pytest.approx(60 / 80 / 2, abs=1e-4)
    assert found["war_among_its_labels"]["value"] == pytest.approx(70 / 81, abs=0.02)
    assert found["classes"]["anger"]["n"] == 80
    sexes = found["groups"]["sex"]
    low, high = sexes["values"]["male"]["interval_95"]
    assert (low, high) == (pytest.approx(0.722, abs=1e-3), 1.0), "ten men who are right prove no certainty"
    assert sexes["values"]["other"]["interval_95"] is None
    assert sexes["values"]["female"]["value"] == 0.5
    assert sexes["worst_gap"]["value"] == 0.5, "a group of one clip is no group"
    low, high = sexes["worst_gap"]["interval_95"]
    assert low < 0.5 < high
    low, high = found["war"]["interval_95"]
    assert low < 60 / 81 < high
    alone = [Clip(clip.path, clip.label) for clip in clips]
    narrow = report(p, alone, LABELS)["war"]["interval_95"]
    assert high - low > 1.3 * (narrow[1] - narrow[0]), "clips of one person were taken as independent"


def test_two_equal_groups_may_have_no_gap() -> None:
    """Ten men and ten women of four clips, right or wrong by the same chance."""
    right = np.random.default_rng(5).random(80) < 0.7
    clips = [Clip(Path("c"), "anger", f"p{i // 4}", {"sex": "mf"[i % 8 // 4]}) for i in range(80)]
    p = np.full((80, 8), 0.05, np.float32)
    p[np.arange(80), np.where(right, LABELS.index("anger"), 0)] = 0.6
    gap = report(p, clips, LABELS)["groups"]["sex"]["worst_gap"]
    shares = [right[np.arange(80) % 8 // 4 == sex].mean() for sex in (0, 1)]
    assert gap["value"] == pytest.approx(abs(shares[0] - shares[1]), abs=1e-4)
    low, high = gap["interval_95"]
    assert low < 0 < high


def film(path: Path, pictures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".flv": "FLV1", ".avi": "MJPG", ".mp4": "mp4v"}[path.suffix]
    height, width = pictures[0].shape[:2]
    out = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*kind), 10, (width, height))
    assert out.isOpened()
    for picture in pictures:
        out.write(picture)
    out.release()


def evaluate(*args) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export", "evaluate", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_clips_through_the_shipped_command(tmp_path) -> None:
    """Faces of the demo's photographs as CREMA-D would name them; one film without a face, one broken."""
    with DemoSource() as demo:
        frames = [frame.image for _, frame in zip(range(56), demo.frames(), strict=False)]
    clips = tmp_path / "set" / "VideoFlash"
    film(clips / "1001_DFA_HAP_XX.flv", frames[36:])
    film(clips / "1002_DFA_HAP_XX.flv", [np.zeros_like(frames[0])] * 12)
    (clips / "1003_DFA_SAD_XX.flv").write_bytes(b"not a film")
    out = tmp_path / "figures.json"
    told = evaluate(tmp_path / "set", "--dataset", "crema-d", "--json", out)
    assert told.returncode == 0, told.stderr
    found = json.loads(out.read_text())
    assert (found["clips"], found["without_a_face"]) == (3, 2)
    assert found["bundle"]["name"] == "reference"
    assert found["detector"] in ("YuNetDetector", "HaarDetector")
    assert set(found["precisions"]) == {"fp32", "int8-cpu", "int8-trt", "fp16"}
    for row in found["precisions"].values():
        assert row["war"]["value"] <= 0.3334, "a clip without a face is not right"
    assert "1003_DFA_SAD_XX.flv counts as a clip without a face" in told.stderr
    assert "| WAR | 3 |" in told.stdout


def test_stills_that_are_faces_already(tmp_path) -> None:
    with np.load(bundles.REFERENCE / "golden.npz") as golden:
        crops, logits = golden["crops"], golden["logits"]
    for number in range(0, 12):
        label = LABELS[int(logits[number, 0].argmax())]
        (tmp_path / label).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / label / f"{number}.png"), crops[number, 0])
    told = evaluate(tmp_path, "--dataset", "folder", "--cropped")
    assert told.returncode == 0, told.stderr
    assert "| WAR | 12 | 100.0%" in told.stdout, told.stdout


def test_a_film_of_a_cropped_face_goes_in_whole(tmp_path) -> None:
    """DFEW's crops are folders of frames; neither these nor a film are stills."""
    with np.load(bundles.REFERENCE / "golden.npz") as golden:
        crops, logits = golden["crops"][0], golden["logits"][0]
    label = LABELS[int(logits[0].argmax())]
    film(tmp_path / label / "film.avi", [np.repeat(crop[..., None], 3, axis=2) for crop in crops[:1]] * 9)
    (tmp_path / label / "frames").mkdir()
    for number in range(9):
        cv2.imwrite(str(tmp_path / label / "frames" / f"{number}.png"), crops[0])
    told = evaluate(tmp_path, "--dataset", "folder", "--cropped")
    assert told.returncode == 0, told.stderr
    assert "2 clips of folder, 0 of them without a face" in told.stdout
    assert "| WAR | 2 | 100.0%" in told.stdout, told.stdout


def test_a_still_whose_face_would_begin_no_track_has_none(tmp_path) -> None:
    from edge.config import Config
    from edge.data import Face
    from edge.faces.tracker import Tracker
    from export.card import evaluate as evaluate_set

    class Doubtful:
        """Parts whose detector is certain of no face."""

        config = Config()

        def __init__(self, *scores: float) -> None:
            self._faces = [
                Face(np.array([0, 0, 40 - at, 40 - at], np.float32), s) for at, s in enumerate(scores)
            ]
            self.detector = self

        def new_tracker(self) -> Tracker:
            return Tracker(starts_at=0.8)

        def detect(self, frame):
            return self._faces

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((60, 60, 3), np.uint8))
    bundle = bundles.load(bundles.REFERENCE)
    assert len(evaluate_set._crops(path, bundle, Doubtful(0.7))) == 0
    assert evaluate_set._crops(path, bundle, Doubtful(0.7, 0.9)).shape == (8, 48, 48)


def test_labels_of_another_order_and_name_are_understood(tmp_path) -> None:
    from export.data import ferplus, labeled

    votes = np.zeros((40, 10), np.uint8)
    votes[np.arange(40), np.arange(40) % 8] = 9
    faces = np.random.default_rng(0).integers(0, 256, (40, 48, 48)).astype(np.uint8)
    packed = [cv2.imencode(".webp", face, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].ravel() for face in faces]
    np.savez(
        tmp_path / "faces.npz", webp=np.concatenate(packed), offsets=np.cumsum([0, *map(len, packed)]),
        votes=votes, split=np.repeat([0, 1], 20), duplicate_group=np.full(40, -1),
    )  # fmt: skip
    other = bundles.Bundle(tmp_path, parse(tiny.manifest(labels=["Angry", "happy", "calm", "neutral"])))
    data = labeled.need_labeled(tmp_path / "faces.npz", other)
    wanted = [ferplus.LABELS[k] for k in np.arange(20, 40) % 8]
    names = {"anger": 0, "happiness": 1, "neutral": 3}
    assert data.labels.tolist() == [names.get(name, -1) for name in wanted]
    dev = labeled.need_labeled(tmp_path / "faces.npz", other, choosing=True)
    assert 0 < len(dev.labels) < 20
    assert not (dev.images[:, None] == data.images[None]).all(axis=(2, 3)).any()


def test_the_published_tables_of_ferplus(tmp_path) -> None:
    """Two rows of PublicTest, one of them taken out by FER+; a row of Training."""
    faces = np.random.default_rng(1).integers(0, 256, (3, 48, 48))
    uses = ("Training", "PublicTest", "PublicTest")
    pixels = [f"3,{' '.join(map(str, face.ravel()))},{use}" for face, use in zip(faces, uses, strict=True)]
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(pixels) + "\n")
    head = f"Usage,Image name,{','.join(LABELS)},unknown,NF\n"
    rows = ["Training,fer0.png,10,0,0,0,0,0,0,0,0,0", "PublicTest,fer1.png,1,0,0,0,9,0,0,0,0,0",
            "PublicTest,,0,0,0,0,0,0,0,0,0,10"]  # fmt: skip
    (tmp_path / "fer2013new.csv").write_text(head + "\n".join(rows) + "\n")
    told = evaluate(tmp_path, "--dataset", "ferplus")
    assert told.returncode == 0, told.stderr
    assert "1 clips of ferplus" in told.stdout
    assert "| recall of anger | 1 |" in told.stdout
    (tmp_path / "fer2013new.csv").write_text(head + "\n".join(rows[:2]) + "\n")
    told = evaluate(tmp_path, "--dataset", "ferplus")
    assert (told.returncode, "does not read as FER+" in told.stderr) == (2, True), told.stderr
    (tmp_path / "fer2013.csv").unlink()
    told = evaluate(tmp_path, "--dataset", "ferplus")
    assert (told.returncode, "fer2013.csv" in told.stderr) == (2, True), told.stderr


@pytest.mark.parametrize(
    ("extra", "words"),
    [(["--dataset", "imagenet"], "unknown dataset"),
     (["--dataset", "folder", "--limit", "0"], "--limit is 0"),
     (["--dataset", "folder", "--json", "no/where.json"], "no folder"),
     (["--dataset", "ferplus", "--detector", "a.onnx"], "leave --detector out"),
     (["--dataset", "folder", "--cropped", "--detector", "a.onnx"], "leave --detector out"),
     (["--dataset", "ferplus", "--cropped"], "leave --cropped out")],
)  # fmt: skip
def test_faults_are_one_line(tmp_path, extra, words: str) -> None:
    told = evaluate(tmp_path, "--bundle", bundles.REFERENCE, *extra)
    assert told.returncode == 2
    assert words in told.stderr
    assert "Traceback" not in told.stderr

"""Somebody's labeled set through the shipped command."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import bundle as bundles

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from edge.capture.demo import DemoSource  # noqa: E402

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


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
    assert out.read_text().startswith('{\n "schema": "emotion-edge-figures/1"'), (
        "a second call may replace it"
    )
    assert (found["clips"], found["without_a_face"]) == (3, 2)
    assert found["bundle"]["name"] == "reference"
    assert found["detector"] in ("YuNetDetector", "HaarDetector")
    assert set(found["precisions"]) == {"fp32", "int8-cpu", "int8-trt", "fp16"}
    for row in found["precisions"].values():
        assert row["war"]["value"] <= 0.3334, "a clip without a face is not right"
    assert "1003_DFA_SAD_XX.flv counts as a clip without a face" in told.stderr
    assert "| WAR | 3 |" in told.stdout


def test_unlabeled_clips_tell_how_steady_the_label_is(tmp_path) -> None:
    with DemoSource() as demo:
        frames = [frame.image for _, frame in zip(range(75), demo.frames(), strict=False)]
    film(tmp_path / "set" / "sub" / "one.avi", frames[30:])
    film(tmp_path / "set" / "black.avi", [np.zeros_like(frames[0])] * 30)
    (tmp_path / "set" / "broken.avi").write_bytes(b"not a film")
    out = tmp_path / "figures.json"
    told = evaluate(tmp_path / "set", "--dataset", "clips", "--json", out)
    assert told.returncode == 0, told.stderr
    found = json.loads(out.read_text())
    assert (found["clips"], found["tracks"]) == (2, 1)
    assert set(found["of"]) == {"black.avi", "sub/one.avi"}
    assert found["of"]["sub/one.avi"]["steadiness"]["shown"]["steps"] >= 20
    assert "broken.avi is left out" in told.stderr
    assert "| black.avi | 3 | 0 | 0 |" in told.stdout
    assert "false_answers" not in found

    told = evaluate(tmp_path / "set", "--dataset", "faceless", "--json", out)
    found = json.loads(out.read_text())["false_answers"]
    assert found["events"] >= 1, "the astronaut is answered"
    assert found["upper_95"] > found["per_hour"] > 0
    assert "false answers: " in told.stdout


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
    assert (told.returncode, "cannot be read as FER+" in told.stderr) == (2, True), told.stderr
    (tmp_path / "fer2013.csv").unlink()
    told = evaluate(tmp_path, "--dataset", "ferplus")
    assert (told.returncode, "fer2013.csv" in told.stderr) == (2, True), told.stderr


@pytest.mark.parametrize(
    ("extra", "words"),
    [(["--dataset", "imagenet"], "unknown dataset"),
     (["--dataset", "folder", "--limit", "0"], "--limit is 0"),
     (["--dataset", "folder", "--json", "no/where.json"], "does not exist"),
     (["--dataset", "ferplus", "--detector", "a.onnx"], "leave --detector out"),
     (["--dataset", "folder", "--cropped", "--detector", "a.onnx"], "leave --detector out"),
     (["--dataset", "ferplus", "--cropped"], "leave --cropped out"),
     (["--dataset", "clips"], "holds no video"),
     (["--dataset", "clips", "--cropped"], "leave it out"),
     (["--dataset", "folder", "--set", "dev-plain"], "leave it out"),
     (["--dataset", "generated", "--set", "dev-all"], "expected one of dev-plain"),
     (["--dataset", "generated"], "ferplus_webp.npz")],
)  # fmt: skip
def test_faults_are_one_line(tmp_path, extra, words: str) -> None:
    told = evaluate(tmp_path, "--bundle", bundles.REFERENCE, *extra)
    assert told.returncode == 2
    assert words in told.stderr
    assert "Traceback" not in told.stderr

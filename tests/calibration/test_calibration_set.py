"""What a calibration set takes, refuses and warns of."""

import json
import logging

import numpy as np
import pytest
from full_disk import full_disk

from calibration import calibration_set
from calibration import program as command
from calibration.calibration_set import Sequence, choose
from edge.errors import EdgeError


def sequence(seed: int, label: str = "calm", steps: int = 40, level: int = 120) -> Sequence:
    rng = np.random.default_rng(seed)
    crops = np.clip(rng.normal(level, 40, (steps, 24, 24)), 0, 255).astype(np.uint8)
    return Sequence(crops, label, f"clip{seed}.mp4")


def test_it_is_balanced_and_twins_are_dropped() -> None:
    many = [sequence(at, "calm" if at < 30 else "glad") for at in range(40)]
    many.append(many[0])
    kept = choose(many, per_cell=6)
    labels = [s.label for s in kept]
    assert labels.count("calm") == 6
    assert labels.count("glad") == 6


def test_one_sided_sets_are_named(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        choose([sequence(at) for at in range(12)], per_cell=12)
    assert "12 of 12 sequences look like calm" in caplog.text
    assert "all sequences are medium" in caplog.text


def test_what_chooses_no_class_is_not_one_sided(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        choose([sequence(at, "arousal") for at in range(12)], per_cell=12, one_class=False)
    assert "look like" not in caplog.text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([sequence(at, steps=4) for at in range(20)], "zero state"),
        ([sequence(at) for at in range(4)], "4 sequences with 160 steps"),
        ([sequence(at, steps=8) for at in range(10)], "10 sequences with 80 steps"),
        ([sequence(0)] * 20, "1 sequences"),
    ],
)
def test_too_little_is_refused_with_the_figure(found, words: str) -> None:
    with pytest.raises(EdgeError, match=words):
        choose(found, per_cell=50)


def test_round_trip_and_tampering(tmp_path) -> None:
    kept = [sequence(at) for at in range(10)]
    calibration_set.write(tmp_path / "set", kept, "everyone in it agreed")
    parts, about = calibration_set.read(tmp_path / "set")
    assert len(parts) == 10
    np.testing.assert_array_equal(parts[3], kept[3].crops)
    assert about["consent"] == "everyone in it agreed"
    assert about["sources"]["clip3.mp4"] == 1
    file = tmp_path / "set" / "sequences.npz"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(EdgeError, match="not the file"):
        calibration_set.read(tmp_path / "set")


def test_another_folder_is_not_overwritten(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(EdgeError, match="not a calibration set"):
        calibration_set.write(tmp_path, [sequence(0)], "x")


def test_a_source_is_no_file_of_the_set(tmp_path) -> None:
    calibration_set.write(tmp_path / "set", [sequence(0)], "x")
    with pytest.raises(EdgeError, match=r"sequences\.npz of --out is .*, which is also a source"):
        calibration_set.check_target(tmp_path / "set", [tmp_path / "set/sequences.npz"])
    with pytest.raises(EdgeError, match="is a file, expected a folder"):
        calibration_set.check_target(tmp_path / "set/set.json")


def test_on_a_full_disk_the_old_set_stays(tmp_path) -> None:
    folder = tmp_path / "set"
    calibration_set.write(folder, [sequence(0)], "x")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with full_disk(100), pytest.raises(EdgeError, match=r"cannot write .*sequences\.npz"):
        calibration_set.write(folder, [sequence(1)], "x")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_command_collects_and_measures(tmp_path, capsys) -> None:
    pytest.importorskip("onnx")
    images = np.stack([sequence(at, steps=1).crops[0] for at in range(30)])
    np.savez(tmp_path / "stills.npz", images=images, labels=np.arange(30) % 8)
    given = ["collect", str(tmp_path / "stills.npz"), "-o", str(tmp_path / "set"), "--consent", "generated"]
    assert command.main(given) == 0
    assert json.loads((tmp_path / "set" / "set.json").read_text())["consent"] == "generated"
    assert (tmp_path / "set" / "preview.png").is_file()
    from edge.bundle import REFERENCE

    out = tmp_path / "ranges.json"
    assert command.main(["ranges", str(REFERENCE), str(tmp_path / "set"), "-o", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["tensors"]["state_h"][1] > 0.1, "the state has moved"
    assert command.main(["ranges", str(REFERENCE), str(tmp_path), "-o", str(out)]) == 2
    assert "not a calibration set" in capsys.readouterr().err


def test_no_password_goes_into_a_set() -> None:
    assert command._name("rtsp://me:secret@cam/1") == "rtsp://me:***@cam/1"
    assert "secret" not in command._name("rtsp://cam/1?password=secret")
    assert command._name("clips/of us/one.mp4") == "one.mp4"


def test_a_camera_needs_an_end(capsys, tmp_path) -> None:
    words = ["collect", "rtsp://me:secret@cam/1", "-o", str(tmp_path / "set"), "--consent", "all"]
    assert command.main(words) == 2
    told = capsys.readouterr().err
    assert "pass --max-frames" in told
    assert "secret" not in told


def test_a_file_of_any_name_is_a_source(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["collect", "2024-05-01", "-o", "set", "--consent", "all"]) == 2
    assert "2024-05-01" in capsys.readouterr().err


def test_what_is_no_set_is_told_without_error_numbers(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "set.json").write_text("{}")
    for name, missing in (("file", "set.json"), ("nowhere", "set.json"), ("half", "sequences.npz")):
        with pytest.raises(
            EdgeError, match=rf"{name} is not a calibration set \(it has no {missing}\); make one"
        ):
            calibration_set.read(tmp_path / name)


@pytest.mark.parametrize(
    ("out", "consent", "told"),
    [("file", "me", "file is a file, expected a folder"), ("new", " ", "--consent is empty")],
)
def test_a_set_that_could_not_be_kept_is_not_collected(out, consent, told, capsys, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    assert command.main(["collect", "nowhere.mp4", "-o", str(tmp_path / out), "--consent", consent]) == 2
    assert told in capsys.readouterr().err

"""The shipped program from outside: exit codes, one-line errors, Ctrl-C, broken input."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

from edge.cli.check import check
from edge.config import BundleConfig, Config
from edge.data import Frame
from edge.engines import selection
from edge.engines.golden import Verdict
from edge.errors import BundleError, EdgeError
from edge.sinks.trajectory import TrajectorySink
from edge.system.output_file import OutputFile

ROOT = Path(__file__).parents[2]


def edge(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``emotion-edge`` with ``args``."""
    command = [sys.executable, "-m", "edge", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd or ROOT)


def check_refusal(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Exit 2, one error line that holds ``parts``, no traceback."""
    assert done.returncode == 2, f"exit {done.returncode}: {done.stderr}"
    lines = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(lines) == 1, f"expected one line: {done.stderr}"
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in lines[0], f"{part!r} is not in: {lines[0]}"


def write_clip(path: Path, frames: int = 40, fps: int = 10) -> Path:
    """A moving gray pattern without a face."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (320, 240))
    for at in range(frames):
        image = np.full((240, 320, 3), 90, np.uint8)
        cv2.rectangle(image, (at * 5, 50), (at * 5 + 60, 160), (40, 160, 220), -1)
        writer.write(image)
    writer.release()
    return path


@pytest.fixture
def fast(tmp_path: Path) -> list[object]:
    """Options that make a run quick: the tiny bundle."""
    return ["--bundle", tiny.write(tmp_path / "tiny")]


def test_missing_file(fast: list[object]) -> None:
    check_refusal(edge("run", "no_such.mp4", *fast), "no_such.mp4")


def test_text_named_mp4(tmp_path: Path, fast: list[object]) -> None:
    (tmp_path / "notes.mp4").write_text("not a video\n" * 100)
    check_refusal(edge("run", tmp_path / "notes.mp4", *fast), "notes.mp4")


def test_zero_bytes(tmp_path: Path, fast: list[object]) -> None:
    (tmp_path / "empty.mp4").touch()
    check_refusal(edge("run", tmp_path / "empty.mp4", *fast), "empty.mp4", "empty")


def test_absent_camera(fast: list[object]) -> None:
    check_refusal(edge("run", "/dev/video97", *fast), "/dev/video97")
    check_refusal(edge("run", "97", *fast), "97")


def test_wrong_hash_and_truncated_model(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    model = folder / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:100])
    check_refusal(edge("run", "demo", "--bundle", folder), "model.fp32.onnx", "sha256", "again")
    manifest = tiny.manifest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tiny.write(folder)
    model.write_bytes(model.read_bytes()[:100])
    honest = json.loads((folder / "manifest.json").read_text())
    import hashlib

    honest["files"]["fp32"]["sha256"] = hashlib.sha256(model.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(honest))
    check_refusal(edge("run", "demo", "--bundle", folder), "model.fp32.onnx", "no usable ONNX", "again")
    check_refusal(edge("check", "demo", "--bundle", folder), "no precision of")


def test_a_check_tries_a_network_that_fails_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(*arguments: object) -> Verdict:
        tried.append(arguments[3])
        raise BundleError("it crashed")

    monkeypatch.setattr(selection, "prove", refuse)
    folder = tiny.write(tmp_path / "b")
    config = Config(bundle=BundleConfig(path=str(folder)))
    with pytest.raises(EdgeError, match="no precision of"):
        check(config)
    assert tried == ["fp32"]


def test_unknown_key_and_wrong_type(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[detector]\nevry = 2\n")
    check_refusal(edge("run", "demo", "-c", path), "detector.evry", "every")
    path.write_text('[detector]\nevery = "two"\n')
    check_refusal(edge("check", "-c", path), "detector.every", "'two'", "a whole number")
    check_refusal(edge("run", "demo", "-c", tmp_path / "none.toml"), "none.toml")


def test_a_fault_of_the_system_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from edge.system.command import finish

    def work() -> None:
        (Path(__file__) / "a.json").write_text("")

    assert finish("emotion-edge", work, "") == 2
    assert capsys.readouterr().err == f"emotion-edge: error: {Path(__file__) / 'a.json'}: Not a directory\n"


def test_output_that_cannot_be_written(tmp_path: Path, fast: list[object]) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    check_refusal(edge("run", clip, "--jsonl", tmp_path / "no" / "out.jsonl", *fast), f"{tmp_path / 'no'}")
    check_refusal(edge("run", clip, "--annotate", tmp_path / "out.txt", *fast), "out.txt")


def test_a_clip_without_faces_gives_no_lines(tmp_path: Path, fast: list[object]) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    done = edge("run", clip, "--jsonl", "-", *fast)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "40 frames" in done.stderr
    assert "tests only" in done.stderr, "the license of the weights is said once"


def test_a_clip_that_breaks_off_gives_what_there_is(tmp_path: Path, fast: list[object]) -> None:
    whole = write_clip(tmp_path / "whole.avi", frames=100)
    broken = tmp_path / "broken.avi"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "out.jsonl"
    done = edge("run", broken, "--jsonl", out, *fast)
    assert done.returncode == 0, done.stderr
    assert "is truncated after frame" in done.stderr
    assert out.is_file()


def test_ctrl_c_ends_cleanly_with_everything_written(tmp_path: Path) -> None:
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    command = [sys.executable, "-m", "edge", "run", "demo", "--jsonl", str(out), "--annotate", str(video)]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        # A job in the background inherits an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out.is_file() and out.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines
    assert list(lines[0]) == [
        "schema", "timestamp_s", "frame", "track_id", "box", "label", "label_since_s", "uncertain_since_s",
        "probabilities", "warm", "fresh",
    ]  # fmt: skip
    capture = cv2.VideoCapture(str(video))
    assert capture.read()[0], "the clip cannot be played"
    capture.release()


def test_a_reader_that_goes_away_is_a_normal_end() -> None:
    command = f"{sys.executable} -m edge run demo --jsonl - | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["schema"] == "emotion-edge/1"


def test_every_frame_repeats_the_last_estimate() -> None:
    done = edge("run", "demo", "--jsonl", "-", "--every-frame", "--max-frames", "60")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["fresh"] for line in lines} == {True, False}
    per_frame = [(line["frame"], line["track_id"]) for line in lines]
    assert len(per_frame) == len(set(per_frame))


def test_check_says_what_it_found_and_run_takes_what_it_chose(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = edge("run", "demo", "--max-frames", "1")
    assert "run `emotion-edge check` to measure what is fastest here" in done.stderr
    done = edge("check", "demo")
    assert done.returncode == 0, done.stderr
    chosen = next(line for line in done.stdout.splitlines() if line.startswith("chosen")).split()[1]
    assert f"{chosen} on " in edge("run", "demo", "--max-frames", "1").stderr
    forced = edge("run", "demo", "--max-frames", "1", "--precision", "fp32")
    assert "fastest" not in forced.stderr
    assert "ms per face" not in forced.stderr
    assert "fp32: reproduces golden.npz" in done.stdout
    assert "int8-cpu: reproduces golden.npz" in done.stdout
    measured = [line for line in done.stdout.splitlines() if line.startswith("measured")]
    assert len(measured) >= 2
    assert sum(line.endswith(", chosen") for line in measured) == 1


@pytest.mark.parametrize("command", ["run", "check"])
def test_an_unknown_precision_lists_those_of_the_bundle(command: str, fast: list[object]) -> None:
    check_refusal(edge(command, "demo", "--precision", "int4", *fast), "'int4'", "choose one of fp32")


def test_check_names_an_absent_camera_before_it_measures() -> None:
    done = edge("check", "/dev/video97")
    check_refusal(done, "/dev/video97 does not exist")
    assert "network" not in done.stdout


def test_a_run_that_cannot_open_one_output_leaves_those_of_earlier_runs(
    tmp_path: Path, fast: list[object]
) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra [demo]")
    clip, lines, picture = write_clip(tmp_path / "clip.mp4"), tmp_path / "a.jsonl", tmp_path / "a.png"
    outputs = ["--jsonl", lines, "--trajectory", picture, "--annotate", tmp_path / "a.mp4"]
    lines.write_text('{"schema": "emotion-edge/1"}\n')
    with TrajectorySink(str(picture)) as sink:
        sink.write(Frame(np.zeros((48, 64), np.uint8), 0.0, 0), [])
    before = picture.read_bytes()
    with OutputFile(tmp_path / "a.mp4"):
        check_refusal(edge("run", clip, *fast, *outputs), "a.mp4 is being written by another run")
    assert lines.read_text() == '{"schema": "emotion-edge/1"}\n'
    assert picture.read_bytes() == before


def test_each_output_that_failed_at_the_end_is_told(tmp_path: Path, fast: list[object]) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra [demo]")
    clip, small = write_clip(tmp_path / "clip.mp4"), (1024, resource.RLIM_INFINITY)
    outputs = ["--trajectory", tmp_path / "a.png", "--annotate", tmp_path / "a.mp4"]
    command = [sys.executable, "-m", "edge", "run", str(clip), *map(str, fast), *map(str, outputs)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, small),
    )  # fmt: skip
    assert done.returncode == 2
    for name in ("a.png", "a.mp4"):
        assert len(re.findall(rf"{name} cannot be written \(File too large\)", done.stderr)) == 1
        assert not (tmp_path / name).exists()
    for part in re.findall(r"what was written is in (.*)", done.stderr):
        assert Path(part).stat().st_size > 0


def test_no_output_overwrites_the_source_or_another_output(tmp_path: Path, fast: list[object]) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    before = clip.read_bytes()
    check_refusal(edge("run", clip, "--jsonl", clip, *fast), "output.jsonl", "the source")
    check_refusal(edge("run", clip, "--annotate", clip, *fast), "output.annotate", "the source")
    both = tmp_path / "out.mp4"
    check_refusal(edge("run", clip, "--annotate", both, "--jsonl", both, *fast), "out.mp4")
    check_refusal(edge("run", clip, "--health", clip, *fast), "output.health", "the source")
    lines = tmp_path / "lines"
    check_refusal(edge("run", clip, "--jsonl", lines, "--health", lines, *fast), "output.health")
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": ["calm", "glad"]}, "logits is float32 (N, 3) in the graph, but float32 (N, 2)"),
        (
            {"state": [tiny.manifest()["state"][0] | {"shape": [5]}]},
            "state_h is float32 (N, 2) in the graph, but float32 (N, 5)",
        ),
        (
            {"state": [tiny.manifest()["state"][0] | {"input": "memory"}]},
            "input memory is missing in the graph",
        ),
    ],
)
def test_a_manifest_of_another_graph(tmp_path: Path, changed: dict[str, object], words: str) -> None:
    bundle = tiny.write(tmp_path / "bundle", **changed)
    check_refusal(edge("run", "demo", "--bundle", bundle, "--max-frames", "9", "--jsonl", "-"), words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--max-frames", "-3"], "output.max_frames is -3"),
        (["--set", "detector.input_width=0"], "detector.input_width is 0"),
        (["--set", "decision.abstain_below=7"], "decision.abstain_below is 7"),
        (["--set", "tracker.confirm=0"], "tracker.confirm is 0"),
        (["--set", "bundle.threads=-1"], "bundle.threads is -1"),
    ],
)
def test_values_that_make_no_sense(given: list[str], words: str) -> None:
    check_refusal(edge("run", "demo", *given), words)


def test_a_service_manager_ends_it_as_ctrl_c_does(tmp_path: Path) -> None:
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    command = [sys.executable, "-m", "edge", "run", "demo", "--jsonl", str(out), "--annotate", str(video)]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        # A job in the background inherits an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out.is_file() and out.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.terminate()
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130, errors
    assert video.is_file()
    assert not list(tmp_path.glob(".*")), "nothing hidden is left behind"

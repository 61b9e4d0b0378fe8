"""What the pipeline's benchmark counts, names and refuses; the plain question; the network divided."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import cv2
import jsonschema
import numpy as np
import pytest
import tiny

from benchmarks import __main__ as command
from benchmarks import fps
from benchmarks.commands import pipeline, start
from benchmarks.core import harness, node_profile
from benchmarks.core.report import schema
from benchmarks.core.stages import Stages
from benchmarks.scenes import frames as scenes
from edge import bundle as bundles
from edge.data import Frame
from edge.errors import EdgeError

ROOT = Path(__file__).parents[3]
HAAR = ["--set", "detector.kind=haar"]


class Room:
    """Stands for every part of a pipeline."""

    def __init__(self) -> None:
        self.ticks = 0
        self.detect = self.update = self.crop = self.run = self.decide = lambda *_: None

    def tick(self) -> None:
        self.ticks += 1
        time.sleep(0.001)


def known():
    engine = Room()
    recognizer = SimpleNamespace(
        engine=engine, update=lambda *_: None, crop=lambda *_: None, decide=lambda *_: None
    )
    work = SimpleNamespace(detector=Room(), tracker=Room(), recognizer=recognizer, sinks=[])
    work.step = lambda frame: [SimpleNamespace(fresh=True)]
    return work


def some(count: int):
    return iter([Frame(np.zeros((16, 16), np.uint8), at / 30, at) for at in range(count)])


def none() -> dict[str, int]:
    return {"frames": 0, "faces": 0, "estimates": 0}


@pytest.fixture
def bundle(tmp_path) -> Path:
    return tiny.write(tmp_path / "bundle")


def clip(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for at in range(frames):
        writer.write(np.random.default_rng(at).integers(0, 255, (240, 320, 3), np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("frames", [0, 5, 10])
def test_a_source_that_the_warm_up_takes_whole_is_refused_with_its_length(frames: int) -> None:
    with pytest.raises(EdgeError, match=rf"{frames} frames came, and the first 10 .* --frames"):
        pipeline.measure(known(), some(frames), Stages(), none())


def test_the_engine_is_asked_between_two_frames_as_in_a_run() -> None:
    work, stages, counts = known(), Stages(), none()
    pipeline.measure(work, some(30), stages, counts)
    assert work.recognizer.engine.ticks == 30
    assert counts["frames"] == 20
    assert min(stages.milliseconds()["loop"]) > 0.9, "a stage of the frame, so that the sum still holds"
    assert stages.reconciled() > 0.9


def test_the_wait_for_a_camera_is_no_decoding_and_no_work() -> None:
    def slow():
        for frame in some(15):
            time.sleep(0.01)
            yield frame

    stages = Stages()
    pipeline.measure(known(), slow(), stages, none(), "capture")
    found = stages.milliseconds()
    assert min(found["capture"]) >= 10
    assert "decode" not in found
    assert max(stages.working()) < min(stages.totals), "working time leaves it out"


def test_a_camera_is_told_from_a_file(bundle: Path, monkeypatch) -> None:
    @contextmanager
    def camera(*_):
        frames = SimpleNamespace(dropped=3, bad=Counter(), frame_count=None)
        made = scenes.luma(scenes.one_face())
        frames_of = type("Camera", (), {"__iter__": lambda self: iter(made), **vars(frames)})
        yield frames_of()

    monkeypatch.setattr("edge.session.frames", camera)
    made = pipeline.run(_options("pipeline", "/dev/video0", "--bundle", str(bundle), *HAAR, "--frames", "30"))
    names = [entry["name"] for entry in made["measurements"]]
    assert {"working time", "capture"} <= set(names)
    assert "decode" not in names
    assert "frames a second, the wait for the camera included" in [f["name"] for f in made["figures"]]
    assert any("stage capture" in note for note in made["notes"])
    assert made["counts"]["dropped"] == 3


def test_the_configured_address_is_the_source_and_no_face_is_told(
    bundle: Path, tmp_path: Path, caplog
) -> None:
    video = clip(tmp_path / "blank.avi", 15)
    words = ["--bundle", str(bundle), *HAAR, "--set", f"source.address={video}"]
    made = pipeline.run(_options("pipeline", *words))
    jsonschema.validate(made, schema())
    assert made["counts"]["frames"] == 5
    assert "no face was found" in caplog.text
    assert [f["value"] for f in made["figures"] if f["name"].startswith("network: ")] == [None, None]


def test_fps_needs_no_installed_package_and_keeps_a_report(bundle: Path, tmp_path: Path) -> None:
    out, root = tmp_path / "out.json", tmp_path / "checkout"
    root.mkdir()
    for name in ("benchmarks", "edge"):  # a checkout that no .pth file of this environment points to
        (root / name).symlink_to(ROOT / name)
    done = subprocess.run(
        # Without the site's .pth files, which an editable installation uses; its libraries stay reachable.
        [sys.executable, "-S", "-c", _SCRIPT, root / "benchmarks/fps.py", *_libraries(), "--",
         "--bundle", bundle, *HAAR, "--frames", "40", "--json", out],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for told in ("faces in a frame", "network steps a second", "working time, median", "governor"):
        assert told in done.stdout
    jsonschema.validate(json.loads(out.read_text("utf-8")), schema())


_SCRIPT = """
import runpy, sys
at = sys.argv.index("--")
script, sys.path[0:1], sys.argv = sys.argv[1], sys.argv[2:at], [sys.argv[1], *sys.argv[at + 1:]]
runpy.run_path(script, run_name="__main__")
"""


def _libraries() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def test_fps_refuses_a_folder_that_is_not_there(capsys) -> None:
    assert fps.main(["--json", "no/such/folder/out.json"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_what_stands_in_for_tensorrt_is_not_measured() -> None:
    with pytest.raises(EdgeError, match="run `emotion-edge engine`"):
        harness._refuse_standby(SimpleNamespace(serves="fp32 on ONNX Runtime"))
    harness._refuse_standby(SimpleNamespace(serves="int8 on TensorRT"))


def test_a_peak_that_cannot_be_read_is_not_zero() -> None:
    assert start.largest([None, 3.0, None, 5.0]) == 5.0
    assert start.largest([None, None]) is None
    assert start._peak_mb(2**22 + 1) is None


def test_start_says_what_it_started_on(tmp_path: Path) -> None:
    assert start._about(clip(tmp_path / "a.avi", 3)) == "on a 320x240 MJPG file"


def test_recurrent_nodes_are_those_of_the_state_and_what_follows_the_cnn() -> None:
    graph = SimpleNamespace(node=[
        _node("gates", "MatMul", ["h"], ["gh"]),  # may run before the CNN, and is no part of it
        _node("squeeze", "Gemm", ["face"], ["s"]),  # a product inside the CNN
        _node("conv", "FusedConv", ["face", "s"], ["a"]),
        _node("pool", "ReduceMean", ["a"], ["b"]),
        _node("project", "Gemm", ["b"], ["x"]),
        _node("sum", "Add", ["x", "gh"], ["new_h"]),
        _node("head", "Gemm", ["new_h"], ["logits"]),
    ])  # fmt: skip
    assert node_profile.recurrent(graph, {"h"}) == {"gates", "project", "sum", "head"}


def test_the_reference_network_spends_most_of_its_time_in_its_cnn() -> None:
    pytest.importorskip("onnx")
    bundle = bundles.load(bundles.REFERENCE)
    feeds = pipeline.step_feeds(bundle, 1)
    for precision in ("fp32", "int8-cpu"):
        share = node_profile.recurrent_share(
            bundle.model(precision), 1, feeds, {t.input for t in bundle.state}
        )
        # Its GRU and head hold 3 % of the multiplications; each node costs some microseconds besides.
        assert share is not None
        assert 0.005 < share < 0.4


def _node(name: str, kind: str, inputs: list[str], outputs: list[str]) -> SimpleNamespace:
    return SimpleNamespace(name=name, op_type=kind, input=inputs, output=outputs)


def _options(*words: str):
    return command._parser().parse_args(words)

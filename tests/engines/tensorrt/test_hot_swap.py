"""ONNX Runtime serves, an engine is built beside it, and the change comes between two steps."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stand_in

from edge import bundle as bundles
from edge import config_file
from edge.engines import backends, selection
from edge.engines.ort import OrtEngine
from edge.engines.tensorrt import build_progress, hot_swap, plans
from edge.engines.tensorrt import builder as builder_module
from edge.engines.tensorrt.hot_swap import Serving
from edge.errors import BundleError, ConfigError
from edge.manifest import BundleFile
from edge.system.device import Gpu
from edge.system.hashing import sha256

REFERENCE = bundles.load(bundles.REFERENCE)
STANDBY = "fp32 on ONNX Runtime"

# What a builder leaves: the plan (the stand-in takes an ONNX file) and its sidecar.
BUILD = """
import pathlib, shutil, sys, time
plan, model, sidecar, text, wait = sys.argv[1:]
time.sleep(float(wait))
pathlib.Path(plan).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
shutil.copy(model, plan)
pathlib.Path(sidecar).write_text(text)
"""


@pytest.fixture
def gpu(monkeypatch) -> stand_in.Tensorrt:
    made = stand_in.install(monkeypatch)
    monkeypatch.setattr(plans, "library", lambda: made)
    monkeypatch.setattr(plans, "gpu", lambda: Gpu("Orin", "8.7"))
    return made


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="edge")
    return lambda: " | ".join(record.message for record in caplog.records)


@pytest.fixture
def builder(monkeypatch):
    """Replaces the builder by one that copies an ONNX file; refusals by precision may be put in."""
    refusals: dict[str, tuple] = {}  # exit code, last words and, where it takes its time, seconds
    started: list[str] = []

    def command(bundle, precision: str, faces: int, folder: Path) -> list[str]:
        started.append(precision)
        if precision in refusals:
            code, text, *wait_s = refusals[precision]
            told = f"import sys, time; time.sleep({sum(wait_s)}); print({text!r}, file=sys.stderr)"
            told += f"; sys.exit({code})"
            return [sys.executable, "-c", told]
        plan, sidecar, text = engine_files(precision, folder)
        model = str(bundle.model("fp32"))
        return [sys.executable, "-c", BUILD, str(plan), model, str(sidecar), text, "0.3"]

    monkeypatch.setattr(hot_swap, "build_command", command)
    return started, refusals


def engine_files(precision: str, folder: Path) -> tuple[Path, Path, str]:
    """Paths of plan and sidecar, and the sidecar of a plan that is a copy of the fp32 file."""
    import json
    from dataclasses import asdict

    key = plans.key_of(REFERENCE, precision, 8)
    digest = sha256(REFERENCE.model("fp32"))
    stem = folder / key.stem()
    return Path(f"{stem}.plan"), Path(f"{stem}.json"), json.dumps({**asdict(key), "plan_sha256": digest})


def put(precision: str, folder: Path, content: bytes | None = None) -> None:
    """An engine as it lies in the cache; with ``content``, another plan whose sidecar fits it."""
    plan, sidecar, text = engine_files(precision, folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan.write_bytes(content or REFERENCE.model("fp32").read_bytes())
    sidecar.write_text(text.replace(sha256(REFERENCE.model("fp32")), sha256(plan)))


def serving(folder: Path) -> Serving:
    return Serving(REFERENCE, OrtEngine(REFERENCE.model("fp32")), hot_swap.FALLBACKS, 8, folder)


def step(engine, state=None):
    face = np.linspace(-1, 1, 48 * 48, dtype=np.float32).reshape(1, 1, 48, 48)
    return engine.run({"face": face, "state_h": np.zeros((1, 96), np.float32) if state is None else state})


def until(engine: Serving, what: str) -> list[dict]:
    """Steps, each from the state of the last, until ``what`` serves."""
    outs, end = [step(engine)], time.monotonic() + 20
    while engine.serves != what:
        assert time.monotonic() < end, f"{engine.serves} still serves"
        outs.append(step(engine, [outs[-1]["new_state_h"][0]]))
        time.sleep(0.02)
    return outs


def test_it_changes_between_two_steps_and_the_state_goes_on(gpu, builder, log, tmp_path) -> None:
    folder = tmp_path / "engines"
    with serving(folder) as engine, OrtEngine(REFERENCE.model("fp32")) as expected:
        assert engine.serves == STANDBY
        outs = until(engine, "int8-trt on TensorRT")
        outs.append(step(engine, [outs[-1]["new_state_h"][0]]))
        assert len(outs) > 3, "nothing was served while the engine was built"
        state = None
        for out in outs:
            wanted = step(expected, state)
            state = wanted["new_state_h"]
            np.testing.assert_allclose(out["logits"], wanted["logits"], atol=1e-4)
    assert "building the int8-trt engine" in log()
    assert "switched to int8-trt on TensorRT" in log()
    assert gpu.gpu.pushed == 0


def test_a_service_that_waits_for_an_engine_tells_how_far_it_is(gpu, builder, tmp_path) -> None:
    """Whoever builds it: the unit beside the service holds the lock, and the service's own builder waits."""
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o700)
    with plans._locked(folder) as lock, serving(folder) as engine:
        build_progress.write(lock, "int8-trt", "42 Building engine")
        assert engine.building == build_progress.Progress("int8-trt", 42)


def test_an_engine_that_is_there_serves_at_once(gpu, builder, tmp_path) -> None:
    put("int8-trt", tmp_path / "engines")
    with plans._locked(tmp_path / "engines") as lock, serving(tmp_path / "engines") as engine:
        build_progress.write(lock, "fp32", "42 Building engine")
        assert engine.serves == "int8-trt on TensorRT"
        assert engine.building is None, "another one's"
    assert builder[0] == []


def test_an_engine_that_does_not_load_is_built_again(gpu, builder, log, tmp_path) -> None:
    """TensorRT gives None for a plan of another version."""
    put("int8-trt", tmp_path / "engines", b"old plan")
    with serving(tmp_path / "engines") as engine:
        assert engine.serves == STANDBY
        until(engine, "int8-trt on TensorRT")
    assert builder[0] == ["int8-trt"]
    assert "Version tag does not match" in log()


def test_a_refused_precision_is_named_and_the_next_one_built(gpu, builder, log, tmp_path) -> None:
    builder[1]["int8-trt"] = 3, "emotion-edge: error: TensorRT refuses node Conv_1"
    with serving(tmp_path / "engines") as engine:
        until(engine, "fp16 on TensorRT")
    assert "int8-trt on TensorRT is skipped: TensorRT refuses node Conv_1" in log()


def test_where_nothing_can_be_built_onnx_runtime_goes_on(gpu, builder, log, tmp_path) -> None:
    """As on a disk that is full: one line, no second try in another precision, estimates all the while."""
    for precision in hot_swap.FALLBACKS:
        builder[1][precision] = 2, f"cannot write {tmp_path} (No space left on device)"
    with serving(tmp_path / "engines") as engine:
        end = time.monotonic() + 20
        while "ONNX Runtime stays in use" not in log():
            assert time.monotonic() < end
            assert np.isfinite(step(engine)["logits"]).all()
    assert builder[0] == ["int8-trt"]
    assert log().count("No space left on device") == 1


def test_a_wrong_engine_never_serves(gpu, builder, log, tmp_path) -> None:
    gpu.error = 3.0
    for precision in hot_swap.FALLBACKS:
        put(precision, tmp_path / "engines")
    with serving(tmp_path / "engines") as engine:
        assert engine.serves == STANDBY
    assert log().count("does not reproduce golden.npz") == 3
    assert gpu.gpu.pushed == 0


def test_where_the_gpu_fails_onnx_runtime_takes_over(gpu, builder, log, tmp_path) -> None:
    """Also for a face that was not in the batch that failed: its row is on the device, too."""
    put("int8-trt", tmp_path / "engines")
    with serving(tmp_path / "engines") as engine:
        one, other = step(engine), step(engine)
        gpu.breaks = True
        gpu.gpu.refuses_capture = True
        engine._now._steps.clear()
        out = step(engine, [one["new_state_h"][0]])
        np.testing.assert_allclose(out["logits"], one["logits"], atol=1e-4)  # from zero, as that step was
        assert engine.serves == STANDBY
        gpu.gpu.memory.blocks.clear()  # nothing on the device can be read any more
        late = step(engine, [other["new_state_h"][0]])
        np.testing.assert_allclose(late["logits"], one["logits"], atol=1e-4)
        assert isinstance(step(engine, [out["new_state_h"][0]])["new_state_h"], np.ndarray)
    assert "the kernel did not start" in log()
    assert gpu.gpu.pushed == 0


def test_a_runtime_that_cannot_start_is_a_step_down(gpu, builder, log, tmp_path) -> None:
    """The bindings raise TypeError where the library gives no object."""

    def refuse(logger):
        raise TypeError("pybind11::init(): factory function returned nullptr")

    for precision in hot_swap.FALLBACKS:
        put(precision, tmp_path / "engines")
    gpu.Runtime = refuse
    with serving(tmp_path / "engines") as engine:
        assert engine.serves == STANDBY
    assert log().count("cannot start") == 3
    assert gpu.gpu.pushed == 0


def test_a_fault_that_is_not_the_plans_leaves_the_plan(gpu, builder, tmp_path) -> None:
    put("int8-trt", tmp_path / "engines")

    def full(size):
        raise stand_in.DriverError("cuMemAlloc failed: out of memory")

    gpu.gpu.mem_alloc = full
    with serving(tmp_path / "engines") as engine:
        step(engine)
    assert list((tmp_path / "engines").glob("*.plan"))
    assert gpu.gpu.pushed == 0


def test_a_stale_plan_is_built_again_for_check(gpu, tmp_path) -> None:
    put("int8-trt", tmp_path / "engines", b"old plan")

    def make(bundle, key, folder):
        put("int8-trt", folder)
        return engine_files("int8-trt", folder)[0]

    with hot_swap.obtain(REFERENCE, "int8-trt", 8, tmp_path / "engines", make) as engine:
        assert np.isfinite(step(engine)["logits"]).all()


def test_closing_ends_the_builder(gpu, builder, tmp_path) -> None:
    _, refusals = builder
    refusals["int8-trt"] = (1, "too late", 60.0)
    started = time.monotonic()
    with serving(tmp_path / "engines") as engine:
        step(engine)
        child = engine._builder._child
        assert child.poll() is None
    assert child.returncode
    assert time.monotonic() - started < 10


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a GPU")
def test_the_real_builder_fails_here_and_the_run_goes_on(gpu, log, tmp_path) -> None:
    with serving(tmp_path / "engines") as engine:
        end = time.monotonic() + 60
        while "stays in use" not in log():
            assert time.monotonic() < end
            assert np.isfinite(step(engine)["logits"]).all()
            time.sleep(0.05)
    assert "no engine could be built: " in log()
    assert "no NVIDIA driver" in log() or "TensorRT cannot be imported" in log()


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a GPU")
def test_without_a_gpu_the_configuration_says_so() -> None:
    assert "no NVIDIA driver" in hot_swap.unusable()
    with pytest.raises(ConfigError, match="no NVIDIA driver"):
        selection.engine(config_file.load(None, ["engine.kind=tensorrt"]), REFERENCE)
    with pytest.raises(BundleError, match="int8-trt is for TensorRT"):
        selection.engine(config_file.load(None, ["bundle.precision=int8-trt"]), REFERENCE)
    with pytest.raises(ConfigError, match="expected auto"):
        selection.engine(config_file.load(None, ["engine.kind=magic"]), REFERENCE)


def test_with_a_gpu_the_configuration_takes_tensorrt(gpu, builder, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(hot_swap, "unusable", lambda: "")
    monkeypatch.setattr(builder_module, "library", lambda: gpu)
    monkeypatch.setattr(backends, "gpu", lambda: Gpu("Orin", "8.7"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = selection.engine(config_file.load(None, [f"engine.folder={tmp_path}/engines"]), REFERENCE)
    assert isinstance(made, Serving)
    with made as engine:
        until(engine, "int8-trt on TensorRT")
    named = ["engine.kind=tensorrt", "bundle.precision=int8-cpu"]
    with pytest.raises(ConfigError, match="cannot run int8-cpu"):
        selection.engine(config_file.load(None, named), REFERENCE)
    alone = selection.engine(config_file.load(None, ["bundle.precision=int8-cpu"]), REFERENCE)
    assert isinstance(alone, OrtEngine)
    only = replace(REFERENCE.manifest, files={"fp32": BundleFile("model.fp32.onnx")})
    named = replace(REFERENCE, manifest=only)
    with pytest.raises(BundleError, match="has no precision"):
        selection.engine(config_file.load(None, ["bundle.precision=int8-trt"]), named)

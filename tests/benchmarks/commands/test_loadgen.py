"""The real LoadGen drives a tiny bundle; nothing that fails inside it is lost."""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.engines.golden import roll
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, EdgeError

pytest.importorskip("mlperf_loadgen")

from benchmarks.commands import loadgen

CLIPS, STEPS = 20, 3  # no multiple of a batch of 8; shorter than the 4 steps of a clip


def write(folder: Path, steps: int = STEPS, **changes: Any) -> Path:
    """The tiny bundle with golden.npz."""
    plain = bundles.load(tiny.write(folder))
    crops = np.random.default_rng(0).integers(0, 256, (CLIPS, steps, 8, 8)).astype(np.uint8)
    logits = roll(OrtEngine(plain.model("fp32")), plain, crops) * changes.pop("golden_factor", 1)
    np.savez(folder / "golden.npz", crops=crops, logits=logits)
    digest = hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()
    return tiny.write(folder, golden={"path": "golden.npz", "sha256": digest}, **changes)


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    loadgen.add_options(parser)
    return parser.parse_args(words)


class Faulty(OrtEngine):
    """Does ``fault`` at every ``at``-th step; 100 is after the five batches before LoadGen starts."""

    def __init__(self, model: Path, fault: Any, at: int = 100) -> None:
        super().__init__(model)
        self.fault, self.at, self.steps = fault, at, 0

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.steps += 1
        out = super().run(feeds)
        return out if self.steps % self.at else self.fault(out)


def test_every_scenario_gives_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = loadgen.run(options(str(write(tmp_path / "b")), "--seconds", "0.5"))
    found = {row["name"]: row for row in made["figures"]}
    title = "LoadGen {}, unofficial: {}"
    for name, what in (("SingleStream", "p90"), ("MultiStream", "p99")):
        row, early = (found[title.format(name, part)] for part in (what, f"{what}, early stopping"))
        assert row["note"] == "VALID"
        # LoadGen's estimate is a bound from above, of the same samples.
        assert 0 < row["value"] <= early["value"]
    assert found[title.format("Offline", "rate")]["value"] > 0
    for name in loadgen.SCENARIOS:
        assert found[title.format(name, "min cosine to fp32")]["value"] == pytest.approx(1, abs=1e-6)
        assert found[title.format(name, "label changes")]["value"] == 0
    assert [len(entry["rounds"]) for entry in made["measurements"]] == [10, 10, 10]
    assert sum(len(part) for part in made["measurements"][1]["rounds"]) >= 662
    assert made["kind"] == "loadgen"
    assert made["fingerprint"]["setup"] == {"engine": "fp32 on ONNX Runtime", "threads": 1}
    assert "MLPerf" not in str(made)
    assert os.listdir(tmp_path) == ["b"]  # the logs of LoadGen went with their folder


def test_own_times_agree_with_those_of_loadgen(tmp_path: Path) -> None:
    clips = loadgen.Clips(bundles.load(write(tmp_path, trained_window=100)))
    engine = OrtEngine(tmp_path / "model.fp32.onnx")
    log, taken_ms = loadgen.play(engine, clips, "SingleStream", "PerformanceOnly", 0.5)
    assert len(taken_ms) == log["result_query_count"]
    # LoadGen also counts its calls into Python and back: 30 us here, a few per cent of 100 steps.
    assert float(np.median(taken_ms)) == pytest.approx(
        log["result_50.00_percentile_latency_ns"] / 1e6, rel=0.25
    )


def test_a_clip_goes_to_and_fro_over_the_golden_steps(tmp_path: Path) -> None:
    bundle = bundles.load(write(tmp_path, trained_window=7))
    with np.load(tmp_path / "golden.npz") as golden:
        crops = golden["crops"]
    engine = OrtEngine(bundle.model("fp32"))
    expected = roll(engine, bundle, crops[:, [0, 1, 2, 1, 0, 1, 2]])[:, -1]
    np.testing.assert_allclose(loadgen.Clips(bundle).roll(engine, range(CLIPS)), expected)
    np.testing.assert_allclose(loadgen.Clips(bundle).expected(), expected, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_any_length_of_golden_sequences_serves(tmp_path: Path, steps: int) -> None:
    bundle = bundles.load(write(tmp_path, steps))
    clips = loadgen.Clips(bundle)
    found = clips.roll(OrtEngine(bundle.model("fp32")), range(CLIPS))
    np.testing.assert_allclose(found, clips.expected(), atol=1e-6)


@pytest.mark.parametrize("name", loadgen.SCENARIOS)
def test_another_network_shows_in_the_accuracy_run(tmp_path: Path, name: str) -> None:
    def wrong(out: dict[str, Any]) -> dict[str, Any]:
        return {**out, "logits": out["logits"][:, ::-1]}

    bundle = bundles.load(write(tmp_path))
    engine, clips = Faulty(bundle.model("fp32"), wrong, at=1), loadgen.Clips(bundle)
    log, _ = loadgen.play(engine, clips, name, "AccuracyOnly", 1)
    expected = clips.expected()
    # Each clip has its own answer, whatever the order and the batches.
    np.testing.assert_allclose([log["answers"][at] for at in range(CLIPS)], expected[:, ::-1], atol=1e-6)
    cosine, changes = loadgen.agreement(name, log, expected)
    assert cosine["value"] < 0.9
    assert changes["value"] > 0.01


def test_a_run_that_ends_too_early_is_called_invalid(tmp_path: Path) -> None:
    def slow(out: dict[str, Any]) -> dict[str, Any]:
        time.sleep(
            0.02 if engine.steps <= 20 else 0
        )  # only until LoadGen starts: it then asks for too little
        return out

    bundle = bundles.load(write(tmp_path))
    engine = Faulty(bundle.model("fp32"), slow, at=1)
    # 100 queries are prepared for 2 s: on a busy machine, too, they are answered sooner.
    log, _ = loadgen.play(engine, loadgen.Clips(bundle), "SingleStream", "PerformanceOnly", 2)
    value, early = loadgen.figures("SingleStream", log)
    assert value["note"].startswith("INVALID: Decrease the expected latency")
    assert early["value"] >= value["value"]
    assert loadgen.figures("SingleStream", {**log, "early_stopping_latency_ss": 0})[1]["value"] is None


def test_a_clip_without_an_answer_is_one_line(tmp_path: Path) -> None:
    log = {"answers": {0: np.zeros(3, np.float32)}}
    with pytest.raises(EdgeError, match="MultiStream answers 1 of 2 clips"):
        loadgen.agreement("MultiStream", log, np.zeros((2, 3), np.float32))


def broken(out: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("no memory left\nat op.cc:12")


def short(out: dict[str, Any]) -> dict[str, Any]:
    return {**out, "logits": out["logits"][:-1]}


@pytest.mark.parametrize("name", loadgen.SCENARIOS)
@pytest.mark.parametrize(("fault", "said"), [(broken, "no memory left"), (short, "same shape")])
def test_a_fault_inside_loadgen_is_one_line(tmp_path: Path, name: str, fault: Any, said: str) -> None:
    bundle = bundles.load(write(tmp_path))
    with pytest.raises(EdgeError, match=said) as caught:
        loadgen.play(Faulty(bundle.model("fp32"), fault), loadgen.Clips(bundle), name, "PerformanceOnly", 0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("told", [None, broken])
def test_progress_is_told_and_its_faults_are_one_line(tmp_path: Path, told: Any) -> None:
    import mlperf_loadgen

    clips, heard = loadgen.Clips(bundles.load(write(tmp_path))), []
    system = loadgen.System(mlperf_loadgen, OrtEngine(tmp_path / "model.fp32.onnx"), clips, 8)
    system.on_progress = told or heard.append
    wanted = loadgen._settings(mlperf_loadgen, "Offline", "AccuracyOnly", 0.1, 0.01)
    with pytest.raises(EdgeError, match="no memory left") if told else nullcontext(), system.guarded():
        loadgen._start(mlperf_loadgen, system, CLIPS, wanted, str(tmp_path))
    assert heard == ([] if told else [8, 16, 20])


def test_an_error_of_ours_stays_what_it_is(tmp_path: Path) -> None:
    def ours(out: dict[str, Any]) -> dict[str, Any]:
        raise BundleError("the engine is gone")

    bundle = bundles.load(write(tmp_path))
    engine = Faulty(bundle.model("fp32"), ours)
    with pytest.raises(BundleError, match="the engine is gone"):
        loadgen.play(engine, loadgen.Clips(bundle), "SingleStream", "PerformanceOnly", 0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_long_run(tmp_path: Path, number: int) -> None:
    def interrupted(out: dict[str, Any]) -> dict[str, Any]:
        os.kill(os.getpid(), number)
        return out

    bundle = bundles.load(write(tmp_path, trained_window=400))  # some milliseconds a clip, like a real one
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    engine, started = Faulty(bundle.model("fp32"), interrupted, at=3000), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        loadgen.play(engine, loadgen.Clips(bundle), "SingleStream", "PerformanceOnly", 60)
    assert engine.steps <= 3000 + 400  # no clip after it
    assert time.monotonic() - started < 30  # LoadGen cannot stop, but empty answers bring it to its end
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_faults_of_the_bundle_and_the_options_are_one_line(tmp_path: Path, capsys) -> None:
    with pytest.raises(BundleError, match=r"no golden\.npz"):
        loadgen.run(options(str(tiny.write(tmp_path / "none"))))
    other = bundles.load(write(tmp_path / "other", golden_factor=np.array([1, -1, 1], np.float32)))
    with pytest.raises(BundleError, match=r"fp32 does not reproduce golden\.npz"):
        loadgen.Clips(other).expected()
    for name in ("--seconds", "--threads"):
        with pytest.raises(SystemExit):
            options(name, "0")
        assert name in capsys.readouterr().err
    with pytest.raises(BundleError, match="no precision"):
        loadgen.run(options("--precision", "int4"))

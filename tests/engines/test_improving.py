"""A run starts at once, measures in a child process, and changes its engine between two frames."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from edge import bundle as bundles
from edge import config_file
from edge.engines import improving, machine_cache, measure_command, selection
from edge.engines.backends import BACKENDS
from edge.engines.golden import Verdict
from edge.engines.improving import Improving
from edge.engines.measure import Choice
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

CHOICE = Choice("onnxruntime", "int8-cpu", 2, "1.90 ms per face")
PRINTS = f"print({json.dumps(asdict(CHOICE))!r})"


class Stand(SimpleNamespace):
    """An engine that knows only its name and whether it is open."""

    def __init__(self, serves: str) -> None:
        super().__init__(serves=serves, inputs={}, outputs={}, open=False)

    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *about) -> None:
        self.open = False

    def run(self, feeds):
        assert self.open
        return {"by": self.serves}


def child(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def frames_until(engine: Improving, done: Callable[[], bool]) -> list[str]:
    """Who served each frame until ``done``."""
    served, end = [], time.monotonic() + 20
    while not done():
        assert time.monotonic() < end, "it takes too long"
        served.append(engine.run({})["by"])
        engine.between_frames()
        time.sleep(0.01)
    return served


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="edge")
    return lambda: " | ".join(record.message for record in caplog.records)


def test_it_changes_to_what_was_measured_and_says_so_once(log) -> None:
    first, better, asked = Stand("fp32"), Stand("int8"), []

    def load(choice: Choice) -> Stand:
        asked.append(choice)
        return better

    with Improving(first, child(f"import time; time.sleep(0.2); {PRINTS}"), load, 0.05) as engine:
        served = frames_until(engine, lambda: engine.serves == "int8")
        assert set(served) == {"fp32"}
        assert len(served) > 5, "nothing waits for the child"
        assert engine.run({}) == {"by": "int8"}
        assert (first.open, better.open) == (False, True)
        for _ in range(5):
            engine.between_frames()
    assert asked == [CHOICE]
    assert not better.open
    assert log() == ("measured in the background: int8-cpu on 2 threads: 1.90 ms per face; int8 serves now")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; print('emotion-edge: error: no memory', file=sys.stderr); sys.exit(2)", "no memory"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
        ("print('no choice')", "Expecting value"),
        ("print('{}')", "missing"),
        (PRINTS.replace('"threads": 2', '"threads": 3000'), "threads is 3000, expected at most 256"),
        (PRINTS.replace('"threads": 2', '"threads": "2"'), "threads is '2', expected integer"),
        (PRINTS.replace("1.90 ms", "\\\\n<3>forged"), "expected printable characters"),
        ("print('[' * 200_000)", "nested deeper"),
    ],
)
def test_a_child_that_fails_costs_one_line_and_is_not_tried_again(log, program: str, reason: str) -> None:
    with Improving(Stand("fp32"), child(program), lambda _: Stand("int8"), 0.0) as engine:
        frames_until(engine, lambda: "stays" in log())
        for _ in range(20):
            engine.between_frames()
            time.sleep(0.01)
        assert engine.serves == "fp32"
    assert log().startswith("nothing was measured in the background (")
    assert log().count("fp32 stays") == 1
    assert reason in log()


def test_an_engine_that_does_not_load_and_a_child_that_does_not_start_cost_one_line(log) -> None:
    def refuse(choice: Choice) -> Stand:
        raise EdgeError("it does not reproduce golden.npz")

    with Improving(Stand("fp32"), child(PRINTS), refuse, 0.0) as engine:
        frames_until(engine, lambda: "it does not reproduce golden.npz" in log())
    with Improving(Stand("fp32"), child("\0"), refuse, 0.0) as engine:
        frames_until(engine, lambda: log().count("fp32 stays") == 2)


def test_a_short_run_never_measures(monkeypatch) -> None:
    assert improving.DELAY_S == 3.0
    monkeypatch.setattr(improving, "Background", lambda _: pytest.fail("it measured"))
    started = time.monotonic()
    with Improving(Stand("fp32"), child(PRINTS), lambda _: Stand("int8"), improving.DELAY_S) as engine:
        frames_until(engine, lambda: time.monotonic() - started > 0.2)
    assert time.monotonic() - started < 1.0, "closing does not wait for the delay"
    with Improving(Stand("fp32"), child(PRINTS), lambda _: Stand("int8"), 0.0):
        time.sleep(0.1)  # without a frame nothing begins


def test_closing_ends_the_child_at_once(log) -> None:
    with Improving(Stand("fp32"), child("import time; time.sleep(60)"), lambda _: Stand("x"), 0.0) as engine:
        frames_until(engine, lambda: engine._child is not None)
        pid, started = engine._child._child.pid, time.monotonic()
    assert time.monotonic() - started < 1.0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert log() == ""


def test_closing_before_the_change_closes_both() -> None:
    first, better = Stand("fp32"), Stand("int8")
    with Improving(first, child(PRINTS), lambda _: better, 0.0) as engine:
        engine.between_frames()
        end = time.monotonic() + 20
        while engine._better is None and time.monotonic() < end:
            time.sleep(0.01)
        assert better.open
    assert (first.open, better.open) == (False, False)


REFERENCE = bundles.load(bundles.REFERENCE)
COMMAND = improving.command


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_only_auto_without_a_stored_choice_is_measured(own_cache) -> None:
    settings = ["engine.kind=onnxruntime"]
    auto = config_file.load(None, settings)
    assert isinstance(selection.engine(auto, REFERENCE), OrtEngine), "the library never measures"
    assert isinstance(selection.engine(auto, REFERENCE, improving=True), Improving)
    named = config_file.load(None, [*settings, "bundle.precision=fp32"])
    assert isinstance(selection.engine(named, REFERENCE, improving=True), OrtEngine)
    traits = selection.traits(selection.backends_here(auto))
    machine_cache.remember(REFERENCE, Choice("onnxruntime", "fp32", 1, "because"), traits)
    assert isinstance(selection.engine(auto, REFERENCE, improving=True), OrtEngine)


def test_a_part_of_golden_does_only_until_it_was_measured(own_cache) -> None:
    """A board may lose its power before it was measured: a brief verdict is kept, and is no whole one."""

    def tried(improving: bool, cosine: float = 1.0) -> list[str]:
        asked: list[str] = []

        def trial(bundle, precision, brief) -> Verdict:
            asked.append("brief" if brief else "whole")
            return Verdict(cosine, 0.0)

        auto = config_file.load(None, ["engine.kind=onnxruntime"])
        selection.engine(auto, REFERENCE, trial, improving)
        return asked

    with pytest.raises(EdgeError, match="does not reproduce"):
        tried(improving=True, cosine=0.5)
    assert tried(improving=True) == ["brief"], "one that failed is no reason to believe the network"
    assert tried(improving=True) == [], "the power went off before it was measured"
    assert tried(improving=False) == ["whole"]
    assert tried(improving=False) == []
    for path in own_cache.rglob("golden-*"):
        path.unlink()
    assert tried(improving=False) == ["whole"]
    assert tried(improving=True) == [], "a whole verdict is also a brief one"


def test_a_new_onnx_runtime_is_measured_again(own_cache, monkeypatch) -> None:
    auto = config_file.load(None, ["engine.kind=onnxruntime"])
    traits = selection.traits(selection.backends_here(auto))
    machine_cache.remember(REFERENCE, Choice("onnxruntime", "fp32", 1, "because"), traits)
    monkeypatch.setattr(machine_cache, "_engine_version", lambda: "99.0")
    assert isinstance(selection.engine(auto, REFERENCE, improving=True), Improving)


def quick(bundle, kind: str) -> list[str]:
    """The real child with little time to measure, which does not matter here."""
    *_, folder, kind, limits = COMMAND(bundle, kind)
    program = "import sys; from edge.engines import measure_command as m; m.BUDGET_S = 0.1; "
    return [*child(f"{program}sys.exit(m.main(*sys.argv[1:]))"), folder, kind, limits]


def test_the_real_child_stores_its_choice_and_the_state_goes_on(own_cache, monkeypatch, log) -> None:
    """int8-cpu or fp32, whatever is faster here; its steps go on from the states of fp32."""
    monkeypatch.setattr(improving, "DELAY_S", 0.0)
    auto = config_file.load(None, ["engine.kind=onnxruntime"])
    face = np.linspace(-1, 1, 48 * 48, dtype=np.float32).reshape(1, 1, 48, 48)
    states = [np.zeros((1, 96), np.float32)] * 2
    monkeypatch.setattr(improving, "DELAY_S", 0.0)
    monkeypatch.setattr(improving, "command", quick)
    made = selection.engine(auto, REFERENCE, improving=True)
    with made as engine, OrtEngine(REFERENCE.model("fp32")) as expected:
        end = time.monotonic() + 60
        while "serves now" not in log():
            assert time.monotonic() < end, log()
            outs = [
                by.run({"face": face, "state_h": s}) for by, s in zip((engine, expected), states, strict=True)
            ]
            states = [out["new_state_h"] for out in outs]
            engine.between_frames()
            time.sleep(0.02)
        out = engine.run({"face": face, "state_h": states[0]})
        assert (
            np.abs(out["logits"] - expected.run({"face": face, "state_h": states[1]})["logits"]).max() < 0.3
        )
    stored = machine_cache.recall(REFERENCE, selection.traits(selection.backends_here(auto)))
    assert stored is not None
    assert str(stored) in log()
    assert stored.precision == "fp32" or machine_cache.passed_before(REFERENCE, stored.precision)


def test_the_child_rests_for_what_it_used_and_does_not_count_that() -> None:
    class Slow(Stand):
        def run(self, feeds):
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
            return super().run(feeds)

    rests = measure_command.Rests()
    part = rests.of(replace(BACKENDS[0], load=lambda name: Slow(name)))
    began, counted = time.perf_counter(), rests.clock()
    with part.load("fp32") as engine:
        for _ in range(5):
            assert engine.run({}) == {"by": "fp32"}
    whole_s, counted_s = time.perf_counter() - began, rests.clock() - counted
    assert rests.rested_s >= 0.1
    assert abs(whole_s - counted_s - rests.rested_s) < 0.01


def test_the_child_has_the_lowest_priority_and_ends_with_its_parent(monkeypatch, capsys) -> None:
    asked: list[str] = []
    monkeypatch.setattr(measure_command, "die_with_parent", lambda: asked.append("dies"))
    monkeypatch.setattr(measure_command, "run_when_idle", lambda: asked.append("idle"))
    assert measure_command.main("/no/bundle", "auto") == 2
    assert asked == ["dies", "idle"]
    assert "no bundle at /no/bundle" in capsys.readouterr().err

"""The choice of a precision: what is faster and right wins, what is wrong is named, a cache may fail."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import bundle as bundles
from edge import config_file
from edge.config import EngineConfig
from edge.engines import machine_cache, selection
from edge.engines import measure as choose
from edge.engines.backends import BACKENDS, BackendPart
from edge.engines.golden import Verdict
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, EdgeError
from edge.manifest import BundleFile


@pytest.fixture
def reference():
    return bundles.load(bundles.REFERENCE)


SETTINGS = EngineConfig()


def backends(make, *more: str) -> list[BackendPart]:
    """ONNX Runtime and ``more``, whose engines ``make`` gives for a name, a precision and threads."""

    def load(name: str):
        return lambda settings, bundle, precision, threads: make(name, precision, threads)

    return [replace(part, load=load(part.name)) for part in BACKENDS if part.name in ("onnxruntime", *more)]


class Engine:
    """fp32 on a clock of its own: every step takes ``step_s``; wrong by ``error``."""

    now_s = 0.0  # of all engines
    alive = most_alive = 0

    def __init__(self, step_s: float = 0.001, error: float = 0.0) -> None:
        self._real = OrtEngine(bundles.load(bundles.REFERENCE).model("fp32"))
        self._step_s, self.error = step_s, error
        self.inputs, self.outputs = self._real.inputs, self._real.outputs
        Engine.alive += 1
        Engine.most_alive = max(Engine.alive, Engine.most_alive)

    def __del__(self) -> None:
        Engine.alive -= 1

    def __enter__(self):
        return self

    def __exit__(self, *about) -> None: ...

    def run(self, feeds):
        Engine.now_s += self._step_s
        return self._real.run(feeds)


def measured(bundle, make, *more: str, budget_s: float = 0.1, prove=lambda *_: Verdict(1.0, 0.0)):
    parts = backends(make, *more)
    return choose.measure(bundle, SETTINGS, parts, prove, budget_s, clock=lambda: Engine.now_s)


@pytest.mark.parametrize(("slow", "fast"), [("fp32", "int8-cpu"), ("int8-cpu", "fp32")])
def test_the_faster_wins_and_is_told_beside_the_others(reference, slow: str, fast: str) -> None:
    def make(kind, precision, threads):
        return Engine(0.004 if precision == slow else 0.0019)

    found = measured(reference, make)
    assert (found.choice.precision, found.choice.threads) == (fast, 1)
    assert found.choice.why == f"1.90 ms per face, {slow} on 1 thread 4.00 ms"
    first, *rows = found.table()
    assert first == f"{fast} on 1 thread".ljust(24) + "   1.90 ms per face, chosen"
    assert not [row for row in rows if "chosen" in row]


def test_more_threads_must_be_worth_it(reference, monkeypatch) -> None:
    monkeypatch.setattr(choose, "_thread_counts", lambda: [1, 2, 4])
    times = {1: 0.0020, 2: 0.0019, 4: 0.0018}
    found = measured(reference, lambda kind, precision, threads: Engine(times[threads]))
    assert found.choice.threads == 2
    assert found.choice.why.endswith("; within 10 % the fewest cores win")


def test_each_is_measured_alone(reference) -> None:
    Engine.most_alive = Engine.alive
    before = Engine.alive
    measured(reference, lambda *_: Engine())
    assert Engine.most_alive == before + 1, "threads of another engine spin while it is measured"


def test_a_busy_time_is_fair_to_all(reference) -> None:
    """The machine is ten times slower while the first half of the engines is loaded."""
    loads: list[str] = []

    def make(kind, precision, threads):
        loads.append(precision)
        busy = 10 if len(loads) < 6 else 1
        return Engine(busy * (0.002 if precision == "fp32" else 0.001))

    assert measured(reference, make).choice.precision == "int8-cpu"


@given(
    st.dictionaries(
        st.tuples(st.just("onnxruntime"), st.sampled_from(["fp32", "int8-cpu"]), st.sampled_from([1, 2, 4])),
        st.floats(1e-5, 1.0),
        min_size=1,
    )
)
def test_the_choice_is_within_a_tenth_of_the_fastest_and_takes_no_core_in_vain(times) -> None:
    best = choose.best_of(times)
    assert times[best] <= 1.1 * min(times.values())
    assert not [key for key in times if key[2] < best[2] and times[key] <= 1.1 * min(times.values())]
    assert not [key for key in times if key[2] == best[2] and times[key] < times[best]]


def test_a_faster_one_that_is_wrong_is_named_and_left_out(reference) -> None:
    def make(kind, precision, threads):
        return Engine(0.004) if precision == "fp32" else Engine(error=1.0)

    def prove(part, settings, bundle, precision):
        return Verdict(0.5 if make("", precision, 1).error else 1.0, 0.0)

    found = measured(reference, make, prove=prove)
    assert found.choice.precision == "fp32"
    assert "int8-cpu does not reproduce golden.npz" in found.choice.why
    assert "int8-cpu does not reproduce golden.npz" in list(found.table())[-1]


def test_the_engine_is_part_of_the_choice(reference) -> None:
    """A GPU that is faster wins; one whose engine does not load is named and left out."""

    def make(kind, precision, threads):
        if (kind, precision) == ("tensorrt", "int8-trt"):
            raise EdgeError("the builder refuses it")
        return Engine(0.001 if kind == "tensorrt" else 0.004)

    def prove(part, settings, bundle, precision):
        make(part.name, precision, 1)
        return Verdict(1.0, 0.0)

    choice = measured(reference, make, "tensorrt", prove=prove).choice
    assert (choice.engine, choice.precision) in {("tensorrt", "fp16"), ("tensorrt", "fp32")}
    assert "int8-trt on tensorrt does not run here (the builder refuses it)" in choice.why


def test_nothing_right_is_an_error(reference) -> None:
    with pytest.raises(EdgeError, match="no precision"):
        measured(reference, lambda *_: Engine(), prove=lambda *_: Verdict(0.5, 0.0))


def test_it_is_remembered_per_bundle(reference, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert machine_cache.recall(reference) is None
    choice = choose.Choice("onnxruntime", "int8-cpu", 2, "because")
    machine_cache.remember(reference, choice)
    assert machine_cache.recall(reference) == choice
    folder = tmp_path / "other"
    shutil.copytree(reference.folder, folder)
    other = bundles.load(folder)
    files = {**other.manifest.files, "fp32": BundleFile("model.fp32.onnx", "0" * 64)}
    other = replace(other, manifest=replace(other.manifest, files=files))
    assert machine_cache.recall(other) is None
    file = next((tmp_path / "cache" / "emotion-edge").iterdir())
    file.write_text("{")
    assert machine_cache.recall(reference) is None


def test_a_cache_that_cannot_be_written_is_no_fault(reference, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    machine_cache.remember(reference, choose.Choice("onnxruntime", "fp32", 1, "because"))
    assert machine_cache.recall(reference) is None
    machine_cache.remember_verdict(reference, "int8-cpu", Verdict(1.0, 0.0))
    assert not machine_cache.passed_before(reference, "int8-cpu")


@pytest.fixture
def own_cache(monkeypatch, tmp_path) -> None:
    """An empty cache, for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_golden_is_tried_once_per_model_processor_and_version(reference, own_cache, monkeypatch) -> None:
    wanted = config_file.load(None, ["bundle.precision=int8-cpu", "engine.kind=onnxruntime"])
    tried: list[Verdict] = []

    def admit(bundle, precision, brief) -> Verdict:
        tried.append(Verdict(0.9999, 0.0))
        return tried[-1]

    for _ in range(3):
        assert isinstance(selection.engine(wanted, reference, admit), OrtEngine)
    assert len(tried) == 1
    for file in ("golden", "int8-cpu"):
        manifest = reference.manifest
        entries = {**manifest.files, "golden": manifest.golden}
        changed = {**entries, file: replace(entries[file], sha256="0" * 64)}
        other = replace(manifest, golden=changed.pop("golden"), files=changed)
        assert not machine_cache.passed_before(replace(reference, manifest=other), "int8-cpu"), file
    assert not machine_cache.passed_before(reference, "fp16")
    for name in ("_engine_version", "_processor"):
        with monkeypatch.context() as patch:
            patch.setattr(machine_cache, name, lambda *_: "another")
            assert not machine_cache.passed_before(reference, "int8-cpu"), name
    assert machine_cache.passed_before(reference, "int8-cpu")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"min_cosine": "1", "label_changes": 0}'])
def test_a_damaged_verdict_is_as_none(reference, own_cache, tmp_path, text: str) -> None:
    machine_cache.remember_verdict(reference, "int8-cpu", Verdict(1.0, 0.0))
    next((tmp_path / "cache" / "emotion-edge").iterdir()).write_text(text)
    assert not machine_cache.passed_before(reference, "int8-cpu")


def test_what_is_wrong_is_refused_at_every_start(reference, own_cache) -> None:
    wanted = config_file.load(None, ["bundle.precision=int8-cpu", "engine.kind=onnxruntime"])
    for _ in range(2):
        with pytest.raises(BundleError, match=r"does not reproduce golden\.npz"):
            selection.engine(wanted, reference, lambda *_: Verdict(0.5, 0.0))

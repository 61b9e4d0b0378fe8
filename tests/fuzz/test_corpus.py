"""The corpus of the fuzzing, and inputs of its mutators: a short form without coverage, on every Python."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from fuzz.corpus import COMMITTED, read_kept
from fuzz.planted import FAULTS, ROOT, Planted, find
from fuzz.targets.base import Target
from fuzz.targets.table import TARGETS
from hypothesis import given
from hypothesis import strategies as st

CHANGES = st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=4)
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@every_target
def test_inputs_that_were_found_before(target: Target) -> None:
    """Those of the corpus; one that fails was a fault, or is one again."""
    inputs = [*target.seeds(), *read_kept(target.name)]
    accepted = sum(target.run(data) for data in inputs)
    assert accepted, "no input is accepted: the target sees only the first check"


@every_target
@given(start=st.integers(0, 999), changes=CHANGES)
def test_inputs_that_the_mutator_makes(target: Target, start: int, changes: list[int]) -> None:
    inputs = [*target.seeds(), *read_kept(target.name)]
    data = inputs[start % len(inputs)]
    for change in changes:
        with suppress(ValueError, RecursionError):
            data = target.mutate(data, Random(change))
    target.run(data[: target.most_bytes])


@pytest.mark.parametrize("planted", FAULTS, ids=lambda planted: planted.name)
def test_planted_faults_fit_the_sources(planted: Planted) -> None:
    """``make test-fuzz-planted`` runs them; a change of the sources must not empty it."""
    assert (ROOT / planted.file).read_text("utf-8").count(planted.old) == 1


def test_a_planted_fault_is_found() -> None:
    """By a run as ``make test-fuzz`` makes it; without atheris it goes without coverage."""
    (fault,) = (fault for fault in FAULTS if fault.name == "data in another file")
    took_s, told = find(fault, 30.0)
    assert "AssertionError: data in another file" in told, f"not found in {took_s:.0f} s"


def test_the_corpus_is_small_and_its_targets_exist() -> None:
    files = list(COMMITTED.glob("*"))
    assert {path.stem for path in files} <= set(TARGETS)
    assert sum(path.stat().st_size for path in files) < 200_000


def test_the_good_ones_are_accepted() -> None:
    """A check that refuses everything finds nothing."""
    for name, count in {"manifest": 5, "files": 1, "golden": 3, "graph": 3}.items():
        seeds = list(TARGETS[name].seeds())
        assert all(TARGETS[name].run(data) for data in seeds[:count]), name

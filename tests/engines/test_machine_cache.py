"""Records of the cache are believed only if they are this user's, for this key, and if every field fits."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import bundle as bundles
from edge.config import BundleConfig, Config, EngineConfig
from edge.engines import machine_cache, selection
from edge.engines.golden import Verdict
from edge.engines.measure import Choice
from edge.engines.records import choice_from, verdict_from

REFERENCE = bundles.load(bundles.REFERENCE)
CONFIG = Config(engine=EngineConfig(kind="onnxruntime"), bundle=BundleConfig(precision="auto"))
TRAITS = selection.traits(selection.backends_here(CONFIG))
CHOICE = Choice("onnxruntime", "int8-cpu", 2, "1.90 ms per face")
UNKNOWN = ("onnxruntime", "fp32", 1)  # what runs where nothing has been measured
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
NESTED = b"[" * 30_000 + b"]" * 30_000


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "emotion-edge"


@pytest.fixture
def choice(cache: Path) -> Path:
    """The file of a choice that is believed."""
    machine_cache.remember(REFERENCE, CHOICE, TRAITS)
    assert selection.wanted(CONFIG, REFERENCE) == ("onnxruntime", "int8-cpu", 2)
    return next(cache.glob("choice-*.json"))


@pytest.fixture
def verdict(cache: Path) -> Path:
    """The file of a verdict that is believed."""
    machine_cache.remember_verdict(REFERENCE, "int8-cpu", Verdict(1.0, 0.0))
    assert machine_cache.passed_before(REFERENCE, "int8-cpu")
    return next(cache.glob("golden-*.json"))


def changed(path: Path, **fields: Any) -> None:
    """The record with some other fields; its key is right."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


WRONG_CHOICES: list[dict[str, Any]] = [
    *({"engine": value} for value in (1, None, [], {}, "", "x" * 65, "onnx\nruntime", "\x1b[2J", "\u202e")),
    *({"precision": value} for value in (True, 0.5, "", "fp32\n", "fp32\0")),
    *({"threads": value} for value in ("x", "1", -1, 257, 3000, 10**18, 1.0, True, None, [1], {"n": 1})),
    *(
        {"why": value}
        for value in (1, None, ["w"], "x" * 2001, "w\nemotion-edge: ERROR: forged", "\x1b]0;x\x07")
    ),
    *({"key": value} for value in ("", "0" * 64, None, 1, True)),
    {"more": 1},
]
WRONG_VERDICTS: list[dict[str, Any]] = [
    *({"min_cosine": value} for value in ("1", True, None, [1.0], 1.01, -1.01, 1e300, 10**19)),
    *({"label_changes": value} for value in ("0", False, None, -0.01, 1.01, {})),
    *({"key": value} for value in ("", "0" * 64, None)),
    {"passed": True},
]
NO_RECORDS = {
    "empty": b"", "cut": b'{"engine": "onnxruntime", "prec', "a list": b"[]", "a number": b"3",
    "no UTF-8": b"\xff", "zeros": bytes(1000), "digits": b"9" * 60_000,
    "NaN": b'{"min_cosine": NaN, "label_changes": 0}',
    "infinity": b'{"min_cosine": 1e999, "label_changes": 0}',
    "nested": NESTED, "nested deep": b"[" * 200_000,
}  # fmt: skip


@pytest.mark.parametrize("fields", WRONG_CHOICES, ids=repr)
def test_a_choice_with_a_field_that_does_not_fit_is_as_if_not_there(choice: Path, fields: dict) -> None:
    changed(choice, **fields)
    assert selection.wanted(CONFIG, REFERENCE) == UNKNOWN
    machine_cache.remember(REFERENCE, CHOICE, TRAITS)
    assert machine_cache.recall(REFERENCE, TRAITS) == CHOICE, "the next write mends it"


@pytest.mark.parametrize("fields", WRONG_VERDICTS, ids=repr)
def test_a_verdict_with_a_field_that_does_not_fit_is_as_if_not_there(verdict: Path, fields: dict) -> None:
    changed(verdict, **fields)
    assert not machine_cache.passed_before(REFERENCE, "int8-cpu")


@pytest.mark.parametrize("what", NO_RECORDS)
def test_what_is_no_record_is_as_if_not_there(choice: Path, verdict: Path, what: str) -> None:
    for path in choice.parent.iterdir():
        path.write_bytes(NO_RECORDS[what])
    assert selection.wanted(CONFIG, REFERENCE) == UNKNOWN
    assert not machine_cache.passed_before(REFERENCE, "int8-cpu")


def test_a_field_that_is_missing_or_doubled_is_no_record(choice: Path, verdict: Path) -> None:
    for path, known in ((choice, machine_cache.recall), (verdict, machine_cache.passed_before)):
        argument: Any = TRAITS if path is choice else "int8-cpu"
        record = json.loads(path.read_text())
        for name in record:
            path.write_text(json.dumps({key: value for key, value in record.items() if key != name}))
            assert not known(REFERENCE, argument), name
        path.write_text(json.dumps(record)[:-1] + ', "key": "' + record["key"] + '"}')
        assert not known(REFERENCE, argument), "a key twice"


def test_every_cut_of_a_record_is_as_if_not_there(verdict: Path) -> None:
    content = verdict.read_bytes()
    for size in range(len(content)):
        verdict.write_bytes(content[:size])
        assert not machine_cache.passed_before(REFERENCE, "int8-cpu"), size


def test_a_record_of_another_key_is_not_believed_under_any_name(verdict: Path) -> None:
    """As an old one that somebody copies: the name holds but a part of the key."""
    other = replace(REFERENCE, manifest=replace(REFERENCE.manifest, temperature=2.0))
    machine_cache.remember_verdict(other, "int8-cpu", Verdict(1.0, 0.0))
    (theirs,) = set(verdict.parent.iterdir()) - {verdict}
    assert machine_cache.passed_before(other, "int8-cpu")
    theirs.replace(verdict)
    assert not machine_cache.passed_before(REFERENCE, "int8-cpu")


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o602])
def test_a_record_that_others_can_write_is_as_if_not_there(choice: Path, verdict: Path, mode: int) -> None:
    for path in (choice, verdict):
        path.chmod(mode)
    assert selection.wanted(CONFIG, REFERENCE) == UNKNOWN
    assert not machine_cache.passed_before(REFERENCE, "int8-cpu")
    machine_cache.remember_verdict(REFERENCE, "int8-cpu", Verdict(1.0, 0.0))
    assert machine_cache.passed_before(REFERENCE, "int8-cpu"), "written anew"
    assert verdict.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_a_cache_that_others_can_write_is_as_if_empty(choice: Path, verdict: Path, caplog, mode: int) -> None:
    before = {path: path.read_bytes() for path in choice.parent.iterdir()}
    choice.parent.chmod(mode)
    caplog.set_level(logging.INFO)
    assert selection.wanted(CONFIG, REFERENCE) == UNKNOWN
    assert not machine_cache.passed_before(REFERENCE, "int8-cpu")
    machine_cache.remember(REFERENCE, replace(CHOICE, threads=1), TRAITS)
    assert {path: path.read_bytes() for path in choice.parent.iterdir()} == before, "nothing is written there"
    assert caplog.text.count(f"run: chmod 700 {choice.parent}") == 1
    choice.parent.chmod(0o700)
    assert machine_cache.recall(REFERENCE, TRAITS) == CHOICE


@needs_root
def test_what_another_user_owns_is_as_if_not_there(choice: Path, verdict: Path) -> None:
    for path in (choice, verdict, choice.parent):
        os.chown(path, 12345, -1)
        if path is choice.parent:
            os.chown(choice, 0, -1)
            os.chown(verdict, 0, -1)
        assert path is verdict or selection.wanted(CONFIG, REFERENCE) == UNKNOWN
        assert path is choice or not machine_cache.passed_before(REFERENCE, "int8-cpu")


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "loop"])
def test_what_is_no_file_neither_hangs_nor_stops_a_start(choice: Path, caplog, what: str) -> None:
    good = choice.rename(choice.with_name("good"))
    if what == "pipe":
        os.mkfifo(choice)
    elif what == "folder":
        choice.mkdir()
    else:
        choice.symlink_to(good if what == "link" else choice)
    caplog.set_level(logging.INFO)
    began = time.monotonic()
    assert selection.wanted(CONFIG, REFERENCE) == UNKNOWN
    machine_cache.remember(REFERENCE, CHOICE, TRAITS)
    assert time.monotonic() - began < 5
    if what == "folder":
        assert caplog.text.count("what is fastest here is not kept: cannot write") == 1
    else:
        assert machine_cache.recall(REFERENCE, TRAITS) == CHOICE
    assert good.exists()


def test_a_reason_that_quotes_a_file_is_stored_without_its_controls(cache: Path) -> None:
    why = "int8-cpu does not run here (bad \n\x1b[31mnode \ud800)" + "x" * 5000
    machine_cache.remember(REFERENCE, replace(CHOICE, why=why), TRAITS)
    known = machine_cache.recall(REFERENCE, TRAITS)
    assert known
    assert r"bad \n\x1b[31mnode \ud800" in known.why
    assert len(known.why) == 2000


def test_records_are_the_users_alone_whatever_the_umask_is(cache: Path) -> None:
    before = os.umask(0o002)
    try:
        machine_cache.remember(REFERENCE, CHOICE, TRAITS)
    finally:
        os.umask(before)
    assert machine_cache.recall(REFERENCE, TRAITS) == CHOICE
    assert cache.stat().st_mode & 0o7777 == 0o700


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)
FIELDS = ("engine", "precision", "threads", "why", "min_cosine", "label_changes", "key")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON.map(json.dumps).map(str.encode) | st.binary(max_size=300), record=st.data())
def test_whatever_stands_there_a_start_works(choice: Path, verdict: Path, content: bytes, record) -> None:
    """Any JSON and any bytes, and the right records with some fields exchanged, their keys right."""
    right = {path: path.read_bytes() for path in (choice, verdict)}
    try:
        for path in right:
            path.write_bytes(content)
        assert selection.wanted(CONFIG, REFERENCE) == UNKNOWN
        assert not machine_cache.passed_before(REFERENCE, "int8-cpu")
        for path in right:
            path.write_bytes(right[path])
            changed(path, **record.draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2)))
        kind, precision, threads = selection.wanted(CONFIG, REFERENCE)
        assert (kind, precision in REFERENCE.precisions, 0 <= threads <= 256) == ("onnxruntime", True, True)
        machine_cache.passed_before(REFERENCE, "int8-cpu")
    finally:
        for path, text in right.items():
            path.write_bytes(text)


@given(text=JSON.map(json.dumps) | st.text(), key=st.sampled_from(["", "ab"]))
def test_what_a_child_prints_is_read_by_the_same_rules(text: str, key: str) -> None:
    for parse in (choice_from, verdict_from):
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
            parse(text, key)
    assert choice_from(json.dumps(asdict(CHOICE))) == CHOICE

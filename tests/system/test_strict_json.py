"""JSON that is not trusted: what Python's own reader takes and others do not is refused."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system.strict_json import DEPTH, loads

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, width=32) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_whatever_json_writes_is_read(value: Any) -> None:
    value = None if value in (float("inf"), float("-inf")) else value
    text = json.dumps(value, allow_nan=False) if "Infinity" not in json.dumps(value) else "1"
    assert loads(text) == json.loads(text)
    assert loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "'a' occurs twice"),
        ("[NaN]", "NaN is no number"),
        ("-Infinity", "-Infinity is no number"),
        ("[1e999]", "1e999 is out of range"),
        (f"[{'9' * 30}]", "a number of 30 digits"),
        ('"\\ud800x"', "surrogates not allowed"),
        ('{"\\udfff": 1}', "surrogates not allowed"),
        ("[" * 200_000, "nested deeper than 32"),
        ("[" * (DEPTH + 1) + "]" * (DEPTH + 1), "nested deeper than 32"),
        ("", "Expecting value"),
        ("{} {}", "Extra data"),
    ],
)
def test_what_readers_disagree_on_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        loads(text)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        loads(b'"\xff"')


def test_a_doubled_key_among_many_is_found_at_once() -> None:
    text = "".join(f'"{at:x}": 0, ' for at in range(50_000))  # within the limit of a manifest
    started = time.process_time()
    with pytest.raises(ValueError, match="'c34f' occurs twice"):
        loads(f'{{{text}"c34f": 0}}')
    assert time.process_time() - started < 5  # by comparing each with each, 50 s


def test_the_deepest_text_that_is_read() -> None:
    deep = "[" * (DEPTH - 1) + "]" * (DEPTH - 1)
    assert loads(deep) == json.loads(deep)

"""TOML from anybody is read within bounds of time and depth."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system import bounded_toml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BOMBS = {
    "dotted key": "a" + ".a" * 100_000 + "=1",
    "dotted table": "[a" + ".a" * 100_000 + "]",
    "quoted dotted key": '"a"' + ". 'a'" * 100_000 + "=1",
    "brackets": "a=" + "[" * 100_000,
    "inline tables": "a=" + "{a=" * 5000 + "1" + "}" * 5000,
    "arrays": "a=" + "[" * 40 + "]" * 40,
    "digits": "a=" + "9" * 100_000,
    "hexadecimal": "a=0x" + "f" * 100_000,
    "65 bits": f"a=[{{b={1 << 63}}}]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_one_line_at_once(name: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(ValueError, match=r"[a-z]") as caught:
        bounded_toml.loads(BOMBS[name])
    assert time.monotonic() - began_s < 5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ['"' * 500_000, "a." * 60 + "\n", "x " * 500_000, "'a'." * 63 + "\n", "a" * 10**6]
)
def test_looking_for_dots_takes_no_time(text: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(ValueError, match=r"[a-z]"):
        bounded_toml.loads(f"# {text * (10**6 // len(text))}\n=")
    assert time.monotonic() - began_s < 10


VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.booleans(), lambda inner: st.lists(inner, max_size=3), max_leaves=9
)


@given(st.dictionaries(st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True), VALUES, max_size=5))
def test_what_is_within_the_bounds_is_what_tomllib_reads(values: dict[str, object]) -> None:
    text = "[t]\r\n" + "\r\n".join(f"{key} = {str(value).lower()}" for key, value in values.items())
    assert bounded_toml.loads(text) == {"t": values} == tomllib.loads(text)

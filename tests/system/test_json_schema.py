"""The manifest's schema: our small validator against the jsonschema package."""

import copy
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny import manifest

from edge.bundle import manifest_schema
from edge.system.json_schema import problems

SCHEMA = manifest_schema()
JUDGE = jsonschema.Draft202012Validator(SCHEMA)


def complete() -> dict[str, Any]:
    made = manifest()
    made["files"]["fp32"]["sha256"] = "0" * 64
    return made


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, item in items for path in paths(item, (*here, key)))]


def test_the_schema_is_a_schema_and_a_good_manifest_fits() -> None:
    JUDGE.check_schema(SCHEMA)
    assert list(problems(complete(), SCHEMA, SCHEMA)) == []


@given(
    st.sampled_from([path for path in paths(complete()) if path]),
    st.sampled_from(
        [None, True, 0, -1, 1, 7, 2.5, "", "x", "../up", "a/b", [], [1], {}, {"a": 1}, "standardize"]
    ),
)
@example(("format",), True)
def test_verdicts_agree_with_jsonschema_on_any_one_change(path: tuple[Any, ...], value: Any) -> None:
    made = copy.deepcopy(complete())
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert (list(problems(made, SCHEMA, SCHEMA)) == []) == JUDGE.is_valid(made)


@pytest.mark.parametrize("key", sorted(SCHEMA["required"]))
def test_a_missing_key_is_named(key: str) -> None:
    made = complete()
    del made[key]
    assert list(problems(made, SCHEMA, SCHEMA)) == [f"{key} is missing"]


def test_nan_breaks_a_bound() -> None:
    made = complete() | {"temperature": float("nan")}
    assert any("temperature" in line for line in problems(made, SCHEMA, SCHEMA))

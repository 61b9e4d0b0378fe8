"""No wheel that a target takes may ask for more than its system has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.deploy.kit import targets
from edge.errors import ConfigError


@given(st.integers(17, 60), st.sampled_from(["arm64", "amd64"]))
def test_no_tag_is_above_the_glibc(glibc: int, arch: str) -> None:
    target = replace(targets.TARGETS[0], glibc=glibc, arch=arch)
    tags = target.platforms()
    numbers = [int(tag.split("_")[2]) for tag in tags if tag.startswith("manylinux_2")]
    assert numbers == sorted(numbers, reverse=True)  # pip takes the first that fits
    assert 17 in numbers
    assert max(numbers) <= glibc
    assert {tag for tag in tags if not tag.endswith(f"_{target.machine}")} == set()
    assert f"linux_{target.machine}" in tags


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: f"{target.name}-{target.python}")
def test_a_target_is_exact(target: targets.Target) -> None:
    assert f"manylinux_2_{target.glibc}_{target.machine}" in target.platforms()
    assert all("==" in pin for pin in target.wheels)
    shipped = {pin.partition("==")[0] for pin in target.wheels}
    given_by_system = {name.removeprefix("python3-") for name in target.depends}
    assert not shipped & given_by_system  # a wheel would hide it
    assert targets.find(target.name, target.python) is target


def test_another_python_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"3\.9.*3\.13 or 3\.11"):
        targets.find("debian-amd64", "3.9")

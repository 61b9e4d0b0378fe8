"""No wheel that a target takes may ask for more than its system has."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from edge.deploy.kit import targets
from edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]


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


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: f"{target.name}-{target.python}")
def test_a_wheel_is_one_that_the_program_was_tested_with(target: targets.Target) -> None:
    """Its version is within the bounds of pyproject.toml, as what `pip install` takes on a board is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    listed = map(Requirement, [*project["dependencies"], *extras["cpu"], *extras["jetson"]])
    bounds = {requirement.name: requirement.specifier for requirement in listed}
    pins = dict(pin.split("==") for pin in target.wheels)
    pins.pop("cuda-pathfinder", None)  # has no line of its own: cuda-bindings asks for it
    assert {name: pin for name, pin in pins.items() if not bounds[name].contains(pin)} == {}


def test_a_kit_speaks_to_cuda_by_what_the_tests_ran_with() -> None:
    locked = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    (tested,) = [line for line in locked if line.startswith("cuda-bindings==")]
    assert [target.name for target in targets.TARGETS if target.jetson and tested not in target.wheels] == []


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: f"{target.name}-{target.python}")
@pytest.mark.parametrize(
    "address", ["/dev/video0", "picam://0", "csi://0", "mjpeg:///dev/video0", "rtsp://there/1", "clip.mp4"]
)
def test_a_package_for_cameras_is_needed_where_the_settings_name_such_a_one(
    target: targets.Target, address: str
) -> None:
    needed, others = target.depending(address)
    for schemes, name in ((("picam",), "python3-picamera2"), (("csi", "mjpeg"), "python3-gi")):
        there = any(scheme in target.sources for scheme in schemes)
        named = address.partition("://")[0] in schemes
        assert needed.count(name) == (there and named)
        assert others.count(name) == (there and not named)


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: f"{target.name}-{target.python}")
def test_a_camera_of_another_board_is_refused_on_the_laptop(target: targets.Target) -> None:
    target.refuse_other_camera("/dev/video0")
    target.refuse_other_camera("rtsp://there/1")
    for address, boards in (("picam://0", "pi"), ("csi://0", "jetson"), ("mjpeg:///dev/video0", "jetson")):
        if target.name.startswith(boards):
            target.refuse_other_camera(address)
        else:
            with pytest.raises(ConfigError, match=rf"{target.name} does not have.*--target {boards}"):
                target.refuse_other_camera(address)

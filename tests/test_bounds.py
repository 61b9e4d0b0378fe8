"""What pip may install: every requirement has both bounds, and the versions that were tested are within."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging.requirements")
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from packaging.requirements import Requirement  # noqa: E402
from packaging.utils import canonicalize_name  # noqa: E402
from packaging.version import Version  # noqa: E402

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def requirements() -> Iterator[Requirement]:
    """Those of other packages, in every extra."""
    extras = PROJECT["optional-dependencies"].values()
    for text in (*PROJECT["dependencies"], *(text for extra in extras for text in extra)):
        requirement = Requirement(text)
        if requirement.name != PROJECT["name"]:
            yield requirement


def applies(requirement: Requirement, python: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


def pinned(python: str) -> dict[str, Version]:
    """Package and version in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    found: dict[str, Version] = {}
    for requirement in wanted:
        if applies(requirement, python):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} has two versions for Python {python}"
            found[name] = Version(str(requirement.specifier).removeprefix("=="))
    return found


@pytest.mark.parametrize("requirement", list(requirements()), ids=str)
def test_a_requirement_has_both_bounds(requirement: Requirement) -> None:
    signs = {bound.operator for bound in requirement.specifier}
    assert "==" in signs or signs >= {">=", "<"}, "a version that nobody has tried would be installed"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tested_versions_are_within_the_bounds(python: str) -> None:
    versions = pinned(python)
    for requirement in requirements():
        if applies(requirement, python):
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"constraints.txt lacks {requirement.name} for Python {python}"
            assert version in requirement.specifier, f"{requirement} does not take the tested {version}"


def test_a_source_archive_brings_the_versions() -> None:
    assert "include constraints.txt" in (ROOT / "MANIFEST.in").read_text("utf-8").splitlines()

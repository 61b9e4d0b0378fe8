"""A kit ships the network and the detector that the settings name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge.bundle import REFERENCE
from edge.config import BundleConfig, Config, DetectorConfig
from edge.deploy.kit import legal, models
from edge.errors import BundleError

HAAR = replace(Config(), detector=DetectorConfig(kind="haar"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REFERENCE, tmp_path / "mine"))


def test_the_bundle_of_the_settings_is_shipped(mine: Path) -> None:
    found = models.gather(replace(HAAR, bundle=BundleConfig(path=str(mine))), None, None, True)
    assert found.bundle.folder == mine
    assert found.folder.startswith("/usr/lib/emotion-edge/models/")
    assert f"{found.folder[1:]}/manifest.json" in found.files


def test_a_bundle_that_the_command_names_goes_before(mine: Path) -> None:
    found = models.gather(replace(HAAR, bundle=BundleConfig(path="/nowhere")), mine, None, True)
    assert found.bundle.folder == mine


@pytest.mark.parametrize("given", ["", f"/{models.DETECTOR}"], ids=["none", "of a board"])
def test_the_detector_is_the_bundles_where_it_has_one(mine: Path, given: str) -> None:
    (mine / models.YUNET_NAME).write_bytes(b"another")
    with pytest.raises(BundleError, match="is not the YuNet file"):  # it was taken, and judged
        models.gather(Config(detector=DetectorConfig(model=given)), mine, None, True)


def test_a_detector_that_the_settings_name_must_be_there(mine: Path) -> None:
    with pytest.raises(BundleError, match=r"/nowhere\.onnx"):
        models.gather(Config(detector=DetectorConfig(model="/nowhere.onnx")), mine, None, True)


def test_the_detector_ships_with_the_whole_text_of_its_license(tmp_path: Path) -> None:
    found = models.gather(HAAR, None, None, True)
    files = replace(found, files={models.DETECTOR: b"the network"})
    (stanza,) = [
        stanza
        for stanza in legal.copyright_file(tmp_path, "site", files, []).split("\n\n")
        if models.DETECTOR in stanza
    ]
    head, *text = stanza.partition("\nLicense: ")[2].split("\n")
    assert head == "MIT"
    assert all(line.startswith(" ") for line in text)
    assert "shall be included in all copies" in stanza
    assert "WITHOUT WARRANTY OF ANY KIND" in stanza

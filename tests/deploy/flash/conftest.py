"""Trees, kits and a machine to flash from."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import l4t_kits
import l4t_trees
import pytest

from edge.deploy.flash.host_checks import Host
from edge.deploy.flash.preflight import Order
from edge.deploy.kit import secret_file
from edge.deploy.kit.packaged import PackagedFile

SECRETS = """\
[user]
name = "kiosk"
password_hash = "$y$j9T$abcdefghijklmnop"
[ssh]
authorized_keys = "ssh-ed25519 AAAA me@laptop"
[wifi]
ssid = "museum"
psk = "a long password"
[credentials]
camera = "of the camera"
"""
_MEMORY = Path("/dev/shm")  # where a folder is removed in microseconds


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A ``tmp_path`` in memory where that is there: hundreds of trees come and go."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="emotion-edge-", dir=_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Target -> the folder of its kit."""
    folder = tmp_path_factory.mktemp("kits")
    return {name: l4t_kits.make(folder, name) for name in ("jetson-jp6", "jetson-jp7", "pi-trixie")}


@pytest.fixture(scope="session")
def secrets_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of secrets that has all of them."""
    path = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    path.write_text(SECRETS)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def secrets(secrets_file: Path) -> list[PackagedFile]:
    """What ``secrets_file`` holds."""
    return secret_file.read(secrets_file)


@pytest.fixture
def host(quick_path: Path) -> Host:
    """A machine with an Orin Nano in recovery mode."""
    return Host(l4t_trees.host(quick_path / "host"), l4t_trees.usb(quick_path / "usb", "7523"), 0, "x86_64")


@pytest.fixture
def order(quick_path: Path, host: Host, secrets: list[PackagedFile]) -> Callable[..., Order]:
    """Makes an order that nothing is wrong with, but for what the caller changes."""

    def made(release: str, **changes: object) -> Order:
        thor = release == l4t_trees.R38
        board = "jetson-agx-thor-devkit" if thor else "jetson-orin-nano-devkit"
        tree = l4t_trees.make(quick_path / f"L4T-{release}", release)
        there = dataclasses.replace(
            host, devices=l4t_trees.usb(quick_path / f"usb-{release}", "7026" if thor else "7523")
        )
        whole = Order(
            tree, board, "nvme", l4t_trees.TARGETS.get(release, "jetson-jp6"), 1000, secrets, "256GB",
            accepted=True, host=there,
        )  # fmt: skip
        return dataclasses.replace(whole, **changes)

    return made

"""``kit flash`` asks the network for nothing: seen from outside, with all that it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pi_images
import pytest
import traced
from pi_images import Image

from edge.deploy.flash.preflight import Order

pytestmark = pytest.mark.skipif(
    not traced.strace(), reason="strace is missing, or the kernel does not permit it"
)
# The whole command, but on a drawn machine with a board in recovery mode.
ON_HOST = """
import argparse, sys
from pathlib import Path
from edge.cli import kit_flash
from edge.deploy.flash.host_checks import Host
parser = argparse.ArgumentParser()
kit_flash.add_options(parser)
host = Host(Path(sys.argv[1]), Path(sys.argv[2]), 0, "x86_64")
kit_flash.run(parser.parse_args(sys.argv[3:]), host)
"""


def asked(folder: Path, *words: object) -> tuple[list[str], list[str]]:
    """The calls to a network, and what was printed."""
    log = folder / "calls"
    command = [sys.executable, *map(str, words)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with traced.start(command, log, environ, folder) as program:
        said = program.communicate(timeout=120)[0]
    assert program.returncode == 0, said
    text = log.read_text(errors="replace")
    assert '"/' in text, "strace has seen files being opened"
    return traced.network(text), said.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="a root file system is root's")
def test_a_tree_and_its_way_back(
    order: Callable[..., Order], kits: dict[str, Path], secrets_file: Path, tmp_path: Path
) -> None:
    made = order("39.2.0")
    words = [kits[made.target], "--l4t", made.tree, "--board", made.board, "--storage", made.storage]
    words += ["--secrets", secrets_file, "--accept-nvidia-license"]
    calls, said = asked(tmp_path, "-c", ON_HOST, made.host.root, made.host.devices, *words)
    assert (calls, said[-3]) == ([], "next:")
    assert "kiosk:" in (made.tree / "rootfs/etc/shadow").read_text()
    assert asked(tmp_path, "-m", "edge", "kit", "unflash", "--l4t", made.tree)[0] == []


@pytest.mark.skipif(bool(pi_images.missing()), reason=f"not there: {pi_images.missing()}")
def test_an_image(tmp_path: Path) -> None:
    kit, image = pi_images.kit(tmp_path), Image().write(tmp_path / "raspios.img")
    calls, said = asked(tmp_path, "-m", "edge", "kit", "flash", kit, "--image", image)
    assert calls == []
    assert said[-1].startswith("next: rpi-imager --cli")


def test_what_the_network_is_asked_is_seen(tmp_path: Path) -> None:
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    assert len(asked(tmp_path, "-c", program)[0]) == 1

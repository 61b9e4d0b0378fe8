"""Capture processes to recover with, and an end for every thread that a camera hangs in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from capture_process import CAPTURE_PROCESS
from failing_camera import Camera

from edge.capture.reconnect.subprocess_source import ChildSource
from edge.config import SourceConfig
from edge.system.process import START


@pytest.fixture
def capture_process(tmp_path: Path) -> Callable[..., partial[ChildSource]]:
    """kind of camera -> what opens it in a real capture process."""
    (tmp_path / "stand_in.py").write_text(CAPTURE_PROCESS)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nPYTHONPATH={START} exec {sys.executable} {tmp_path}/stand_in.py\n")
    python.chmod(0o755)
    return lambda kind, **more: partial(
        ChildSource, SourceConfig(address=f"picam://{kind}"), command=[str(python)], **more
    )


@pytest.fixture(autouse=True)
def _let_threads_end() -> Iterator[None]:
    Camera.over.clear()
    yield
    Camera.over.set()

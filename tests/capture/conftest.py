"""A camera on the network that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rtsp_server import Camera, serve


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with serve() as camera:
        yield camera

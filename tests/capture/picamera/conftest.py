"""A stand-in for picamera2 that tells what was left open."""

from __future__ import annotations

import pytest
import stand_in_picamera2 as stand_in


@pytest.fixture
def board(monkeypatch):
    """A working camera; at the end every request is released and every camera closed."""
    hardware = stand_in.install(monkeypatch)
    yield hardware
    assert hardware.lent == set(), "requests were not released"
    assert hardware.open == 0, "cameras were not closed"

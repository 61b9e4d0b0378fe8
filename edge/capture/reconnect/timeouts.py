"""How long each step of bringing a camera back may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """All in seconds."""

    stall_s: float = 2.0  # without a frame, before the camera is reopened
    longest_wait_s: float = 2.0  # between two attempts
    first_wait_s: float = 0.1  # doubled with every attempt, up to the longest
    opening_s: float = 10.0  # connecting to a network camera is slow and cannot be interrupted
    starting_s: float = 5.0  # for a child process to start and import on a small board under load
    grace_s: float = 0.8  # for a library call to return after the source was closed
    closing_s: float = 3.0  # for a slow driver to finish closing after the reading thread has ended
    dies_s: float = 2.0  # a process that survives SIGKILL for this long hangs in a kernel driver
    held_s: float = (
        20.0  # a child process without a frame for this long: the abandoned thread holds the camera
    )
    bad_s: float = 10.0  # of bad frames only, before the camera is reopened
    max_bad_s: float = 300.0  # a static, well encoded scene repeats bit for bit; reopening does not help
    frozen_s: float = 2.0  # sensor noise never repeats for this long

"""What frames in color cost on a camera that could give luma: measured on this machine, on this camera."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from statistics import median
from time import process_time

from edge.config import BundleConfig, Config

FRAMES, WARM_UP = 30, 5


def cost_of_color(config: Config) -> str:
    """One line: processor time of capture and detection for a frame in color, and for one of luma.

    The median of 30 frames each. The camera is opened twice, as it is when ``run`` opens it.
    """
    # The reference bundle takes gray, and so the source is opened for luma.
    gray = replace(config, bundle=BundleConfig(), source=replace(config.source, color=False))
    color_ms, luma_ms = _per_frame_ms(config), _per_frame_ms(gray)
    ratio = color_ms / max(luma_ms, 1e-3)
    return f"{color_ms:.1f} ms of the processor per frame, {luma_ms:.1f} ms as luma ({ratio:.1f} times)"


def _per_frame_ms(config: Config) -> float:
    """Median time of all threads of this process from frame to frame: reading, converting and detection."""
    from edge import session

    times = []
    with session.parts(config) as parts:
        for frame in islice(parts.frames, WARM_UP + FRAMES):
            parts.detector.detect(frame)
            times.append(process_time())
    steps = [after - before for before, after in zip(times[WARM_UP:], times[WARM_UP + 1 :], strict=False)]
    return 1000 * median(steps) if steps else 0.0

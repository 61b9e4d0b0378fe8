"""A clip that costs little: faces from its first frame on, in few and small frames."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import cv2

from edge.capture.demo import DemoSource

FIRST, EVERY, COUNT, SIZE, RATE = 60, 3, 4, (160, 120), 5


def faces(path: Path) -> None:
    """Write the clip; the photographs are those of the demo."""
    with av.open(str(path), "w") as out, DemoSource() as source:
        stream = out.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in islice(source.frames(), FIRST, FIRST + EVERY * COUNT, EVERY):
            picture = frame.image if frame.image.ndim == 3 else cv2.cvtColor(frame.image, cv2.COLOR_GRAY2BGR)
            small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(small, "bgr24")))
        out.mux(stream.encode(None))

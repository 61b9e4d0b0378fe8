"""Runs inside the root file system of test_picamera2.py: PicameraSource on the real picamera2 and libcamera.

Prints one JSON object of what it saw. The camera is libcamera's virtual one. What it lacks is mended here, on
the test's side: it names no raw modes, wants buffers that it makes itself, and gives a frame at once.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise

import picamera2
import stand_in_picamera2 as stand_in
from contracts import check_source
from libcamera import ColorSpace
from picamera2.allocators import LibcameraAllocator
from picamera2.job import Job

from edge.capture.picamera import streams as picam_streams
from edge.capture.picamera.source import PicameraSource
from edge.capture.picamera.streams import luma_range
from edge.errors import SourceError

REAL = {
    "Picamera2": picamera2.Picamera2,
    "MappedArray": picamera2.MappedArray,
    "Job": Job,
    "CompletedRequest": picamera2.CompletedRequest,
}
SPACES = (ColorSpace.Sycc, ColorSpace.Smpte170m, ColorSpace.Rec709)


def use_the_virtual_camera() -> None:
    real_init, real_start = picamera2.Picamera2.__init__, picamera2.Picamera2.start_

    def init(self, camera_num=0):
        real_init(self, camera_num, allocator="set below")
        self.allocator = LibcameraAllocator(self.camera)

    def start(self):
        with self.request_lock:  # a frame that is done before start() is done would be lost with its buffer
            real_start(self)

    picamera2.Picamera2.__init__, picamera2.Picamera2.start_ = init, start
    picamera2.Picamera2._get_raw_modes = lambda self: [{"format": "SRGGB10", "size": (640, 480)}]


def signatures() -> list[str]:
    """Where the stand-in's functions take other parameters than the real ones."""
    return [
        f"{kind}.{name}: {parameters(own)}, really {parameters(getattr(REAL[kind], name))}"
        for kind, name, own in stand_in.functions()
        if parameters(own) != parameters(getattr(REAL[kind], name))
    ]


def parameters(function) -> list[tuple[str, str, bool]]:
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.name, p.default is not inspect.Parameter.empty) for p in found]


def read(count: int = 300) -> dict[str, object]:
    ages, means = [], set()
    source = PicameraSource("picam://0", 640, 480)
    start = time.monotonic()
    frames = []
    with source:
        for frame in source.frames():
            ages.append(time.monotonic() - frame.timestamp_s)
            means.add(round(float(frame.image.mean())))
            frames.append(frame)
            if len(frames) == count:
                break
        fps = count / (time.monotonic() - start)
        allocated = len(source._camera.allocator.buffers(source._camera.streams[0]))
    image = frames[-1].image
    return {
        "frames": len(frames),
        "fps": fps,
        "shape": image.shape,
        "owned": all(f.image.base is None and f.image.flags.c_contiguous for f in frames),
        "range": frames[0].luma_range,
        "oldest_s": max(ages),
        "newest_s": min(ages),
        "rising": all(a.timestamp_s < b.timestamp_s for a, b in pairwise(frames)),
        "means": sorted(means),
        "halves": [float(image[:, :320].mean()), float(image[:, 320:].mean())],
        "buffers": allocated,
    }


def two_streams(count: int = 60) -> dict[str, object]:
    """The large and the small stream of one camera, which knows no BGR: what is drawn on is luma, too."""
    real, picam_streams.BGR = picam_streams.BGR, "NV12"
    try:
        source = PicameraSource("picam://0", 1280, 960, draw=True)
    finally:
        picam_streams.BGR = real
    with source:
        frames = [frame for frame, _ in zip(source.frames(), range(count), strict=False)]
        names = [source._image.name, source._drawn.name]
    return {
        "frames": len(frames),
        "names": names,
        "shapes": [frames[0].image.shape, frames[0].drawn.shape],
        "means": sorted({round(float(frame.image.mean())) for frame in frames}),
        "apart": max(abs(float(frame.image.mean()) - float(frame.drawn.mean())) for frame in frames),
        "owned": all(f.image.base is None and f.drawn.base is None for f in frames),
        "rising": all(a.timestamp_s < b.timestamp_s for a, b in pairwise(frames)),
        "range": frames[0].luma_range,
    }


def slow_reader(count: int = 10, pause_s: float = 0.2) -> float:
    """Seconds, age of the oldest frame that a reader gets who takes ``pause_s`` for each."""
    ages = []
    with PicameraSource("picam://0") as source:
        for frame in source.frames():
            ages.append(time.monotonic() - frame.timestamp_s)
            time.sleep(pause_s)
            if len(ages) == count:
                return max(ages[1:])
    raise AssertionError("the camera ended by itself")


def close_from_another_thread(silent: bool) -> dict[str, float | None]:
    """Seconds from closing until it is done and until frames() ends in its own thread.

    ``silent``: all buffers are held here, so the camera gives no frame and the reader waits.
    """
    source = PicameraSource("picam://0")
    held = starve(source._camera) if silent else []
    got, ended = threading.Event(), []

    def consume() -> None:
        for _ in source.frames():
            got.set()
        ended.append(time.monotonic())

    reader = threading.Thread(target=consume)
    reader.start()
    assert got.wait(0.6 if silent else 10) != silent
    closing = time.monotonic()
    source.__exit__(None, None, None)
    closed = time.monotonic()
    reader.join(10)
    for request in held:
        request.release()
    return {
        "closed_s": closed - closing,
        "ended_s": ended[0] - closing if ended else None,
        "held": len(held),
    }


def leave_without_closing() -> None:
    """End the program while a thread waits for a frame of a camera that gives none."""
    source = PicameraSource("picam://0")
    held = starve(source._camera)
    threading.Thread(target=lambda: list(source.frames()), daemon=True).start()
    time.sleep(0.5)
    print(len(held), "held")


def exit_s() -> float | None:
    """Seconds that ``leave_without_closing`` takes in a process of its own, None where it hangs."""
    start = time.monotonic()
    try:
        subprocess.run([sys.executable, __file__, "leave"], stdout=subprocess.DEVNULL, check=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None
    return time.monotonic() - start


def starve(camera) -> list[picamera2.CompletedRequest]:
    """Hold every buffer of the camera."""
    held = []
    while True:
        job = camera.capture_request(wait=False)
        try:
            held.append(job.get_result(timeout=1.0))
        except TimeoutError:
            camera.cancel_all_and_flush()
            return held


def leaks(times: int = 20) -> dict[str, object]:
    """Descriptors and threads after opening and closing, and after being refused, many times."""

    def held() -> tuple[int, int]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    def cycle() -> None:
        with PicameraSource("picam://0") as source:
            next(source.frames())

    cycle()
    before = held()
    for _ in range(times):
        cycle()
    after = held()
    with PicameraSource("picam://0"):
        refused_before = held()
        said = {message(lambda: PicameraSource("picam://0")) for _ in range(times)}
        refused_after = held()
    return {
        "before": before,
        "after": after,
        "refused": [refused_before, refused_after],
        "said": sorted(said),
    }


def message(make) -> str:
    try:
        make()
    except SourceError as error:
        return str(error)
    return "no error"


if __name__ == "__main__":
    differing = signatures()
    use_the_virtual_camera()
    if sys.argv[1:] == ["leave"]:
        leave_without_closing()
        sys.exit()
    report = {
        "signatures": differing,
        "contract": len(check_source(PicameraSource("picam://0"))),
        "read": read(),
        "two_streams": two_streams(),
        "slow_reader_s": slow_reader(),
        "absent": message(lambda: PicameraSource("picam://7")),
        "color": message(lambda: PicameraSource("picam://0", draw=True)),
        "ranges": [
            luma_range(space()) for space in (ColorSpace.Sycc, ColorSpace.Smpte170m, ColorSpace.Rec709)
        ],
        "closed": close_from_another_thread(silent=False),
        "closed_silent": close_from_another_thread(silent=True),
        "exit_s": exit_s(),
        "leaks": leaks(),
    }
    json.dump(report, sys.stdout)

"""Runs in the emulated machine: OpenCVSource on vivid's camera. Prints what it saw as JSON."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from contracts import check_source

from edge.capture.addresses import stable_address
from edge.capture.cv_capture import GuardedCapture
from edge.capture.raw_frames import luma_frame, unconverted
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.sources import open_source
from edge.config import SourceConfig

NODE = "/dev/video0"
WIDTH, HEIGHT = 640, 360  # pixels; one of vivid's sizes
DRIVER = Path("/sys/bus/platform/drivers/vivid")
SET_CONTROL = 0xC008561C  # VIDIOC_S_CTRL of linux/videodev2.h
GET_CONTROL, GAINS = 0xC008561B, {"gain": 0x00980913, "auto": 0x00980912}  # VIDIOC_G_CTRL, V4L2_CID_*
OSD_TEXT, NO_TEXT = 0x00F0F001, 2  # vivid's own control: the time is written into the picture, or not


def told(records: list[str]) -> logging.Handler:
    """A log handler that keeps the messages."""
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    return handler


def load(*words: str) -> None:
    subprocess.run(["modprobe", "vivid", "n_devs=1", "node_types=1", "num_inputs=1", *words], check=True)
    subprocess.run(["udevadm", "settle"], check=True)


def links() -> dict[str, str]:
    return {str(link): str(link.resolve()) for link in sorted(Path("/dev/v4l").glob("*/*"))}


def without_text() -> None:
    """One and the same picture from now on."""
    camera = os.open(NODE, os.O_RDWR)
    fcntl.ioctl(camera, SET_CONTROL, struct.pack("Ii", OSD_TEXT, NO_TEXT))
    os.close(camera)


def opened(address: str = NODE, width: int = WIDTH, color: bool = False):
    height = HEIGHT if width == WIDTH else 720
    settings = SourceConfig(address=address, width=width, height=height, fps=30.0, color=color)
    return open_source(settings)


def mode(records: list[str], width: int = WIDTH, color: bool = False) -> dict:
    """The contract suite in one mode."""
    records.clear()
    began = time.monotonic()
    frames = check_source(opened(width=width, color=color), at_most=60 if width == WIDTH else 5)
    ended = time.monotonic()
    last = frames[-1].image
    stamps = [frame.timestamp_s for frame in frames]
    return {
        "frames": len(frames),
        "said": list(records),
        "shape": last.shape,
        "strides": last.strides,
        "range": frames[-1].luma_range,
        "in_time": began < stamps[0] and stamps[-1] < ended,
        "fps": (len(stamps) - 1) / (stamps[-1] - stamps[0]),
    }


def first(color: bool) -> np.ndarray:
    with opened(color=color) as source:
        return next(source.frames()).image


def full(image: np.ndarray) -> np.ndarray:
    """Limited luma as full, not rounded."""
    return np.clip((image.astype(float) - 16) * (255 / 219), 0, 255)


def differences(one: np.ndarray, other: np.ndarray) -> dict:
    off = np.abs(one.astype(float) - other)
    return {"most": off.max(), "mean": off.mean(), "levels": len(np.unique(one))}


def from_format(fourcc: str) -> np.ndarray:
    """Luma of one frame in a format that OpenCVSource does not ask for, but may be given."""
    camera = cv2.VideoCapture(NODE, cv2.CAP_V4L2)
    camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
    camera.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
    camera.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
    assert unconverted(camera) == fourcc
    reader = GuardedCapture(camera)
    picture = reader.read()
    reader.close()
    frame = luma_frame(picture, fourcc, (HEIGHT, WIDTH), 0)
    return full(frame.image) if frame.luma_range == "limited" else frame.image


def formats() -> dict:
    """How far luma lies from the gray of what OpenCV converts, of one still picture."""
    bgr = first(color=True)
    gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    found = {"source": differences(full(first(color=False)), gray)}
    for fourcc in ("YUYV", "NV12", "NV21", "YU12", "YV12"):
        found[fourcc] = differences(from_format(fourcc), gray)
    # vivid's GREY is the luma of BT.709; that of its other formats, and OpenCV's gray, are of BT.601.
    found["GREY"] = differences(from_format("GREY"), bgr @ np.array([0.0722, 0.7152, 0.2126]))
    return found


def unbind() -> None:
    (DRIVER / "unbind").write_text("vivid.0")


def bind() -> None:
    (DRIVER / "bind").write_text("vivid.0")


def unload() -> None:
    unbind()
    for _ in range(100):  # until the source has closed the node
        if subprocess.run(["rmmod", "vivid"], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError("vivid is still in use")


def outage(address: str, lose: Callable[[], None], bring_back: Callable[[], None]) -> dict:
    """Lose the camera while Recovering reads it, and bring it back."""
    times = {}
    running = threading.Event()

    def meddle() -> None:
        running.wait()
        times["lost"] = time.monotonic()
        lose()
        time.sleep(2)
        bring_back()
        times["back"] = time.monotonic()

    meddler = threading.Thread(target=meddle)
    meddler.start()
    seen = []
    with Recovering(partial(opened, address), None, patient=True, seed=0) as live:
        for frame in live:
            seen.append((frame.index, frame.timestamp_s))
            if len(seen) == 20:
                running.set()
            if live.outages and len(seen) >= 40 and not meddler.is_alive():
                break
        meddler.join()
        bad, rungs, outages = dict(live.bad), dict(live.rungs), list(live.outages)
    after = next(stamp for _, stamp in seen if stamp > times["lost"] + 2)
    return {
        "back_to_frame_s": after - times["back"],
        "outages": outages,
        "rungs": rungs,
        "bad": bad,
        "indexes": [index for index, _ in seen] == list(range(len(seen))),
        "rising": all(a < b for (_, a), (_, b) in pairwise(seen)),
        "shape": frame.image.shape,
        "links": links(),
    }


def controls(records: list[str]) -> dict:
    """What of exposure, gain and mains frequency the driver has, and what is said of the rest."""
    records.clear()
    wishes = SourceConfig(address=NODE, exposure=8.0, gain=77.0, mains_hz=50)
    with open_source(wishes) as source:
        next(source.frames())
        camera = os.open(NODE, os.O_RDWR)
        values = {
            name: struct.unpack("Ii", fcntl.ioctl(camera, GET_CONTROL, struct.pack("Ii", control, 0)))[1]
            for name, control in GAINS.items()
        }
        os.close(camera)
    return values | {"said": [text for text in records if "no control" in text]}


def held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def main() -> None:
    records: list[str] = []
    logging.getLogger("edge").setLevel(logging.INFO)
    logging.getLogger("edge").addHandler(told(records))
    load()
    seen = {"links": links(), "stable": stable_address(NODE), "luma": mode(records)}
    before = held()
    seen["controls"] = controls(records)
    seen["color"] = mode(records, color=True)
    seen["no_luma"] = mode(records, width=1280)
    without_text()
    seen["formats"] = formats()
    records.clear()
    seen["unbound"] = outage(stable_address(NODE), unbind, bind)
    seen["unbound"]["said"] = list(records)
    unload()
    load()
    seen["unloaded"] = outage(stable_address(NODE), unload, partial(load, "vid_cap_nr=5"))
    seen["held"] = {"before": before, "after": held()}
    print(json.dumps(seen))


if __name__ == "__main__":
    main()

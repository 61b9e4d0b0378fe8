"""Runs in the emulated machine under systemd: which device nodes may be opened, with and without the rules.

``drive`` is root under no rule. It starts units that run ``look``, and prints what all saw as JSON.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

CAMERA = "/dev/video0"
NOBODY = 65534
# The number of the memory under the name of a camera; a disk that no driver serves.
MADE = {"/dev/video9": (stat.S_IFCHR, 1, 1), "/dev/disk": (stat.S_IFBLK, 7, 0)}
NODES = (
    *(CAMERA, "/dev/media0", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
    *("/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/gpiochip0", "/dev/vcs", "/dev/ttyAMA0", *MADE),
)
SERVICE = "emotion-edge.service"
SEEN = {  # where each unit writes it down
    SERVICE: "/var/lib/private/emotion-edge/seen.json",
    "rules.service": "/run/rules.json",
    "closed.service": "/run/closed.json",
}


def opened(node: str) -> str:
    """What came of it: "open", or the name of the error."""
    try:
        os.close(os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "open"


def made() -> str:
    """Whether a node of the memory can be made."""
    try:
        os.mknod("/dev/own", stat.S_IFCHR | 0o600, os.makedev(1, 1))
    except OSError as error:
        return errno.errorcode[error.errno]
    os.unlink("/dev/own")
    return "made"


def all_nodes() -> dict:
    return {"nodes": {node: opened(node) for node in NODES}, "mknod": made(), "status": status()}


def status() -> dict[str, str]:
    """Who this process is, as the kernel has it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: facts[name].split()[0] for name in ("Uid", "CapEff", "NoNewPrivs", "Seccomp")}


def as_nobody() -> dict:
    """The same by a user without any right, in a child."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setgroups([44])  # video, as the service has it
        os.setuid(NOBODY)
        os.write(writer, json.dumps(all_nodes()).encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    return json.loads(os.read(reader, 65536))


def frames() -> dict:
    from edge.capture.opencv import OpenCVSource  # takes seconds here; look() asks for time first
    from edge.errors import SourceError

    try:
        with OpenCVSource(CAMERA, 640, 360, 30.0) as source:
            seen = list(islice(source.frames(), 20))
    except SourceError as error:
        return {"error": str(error)}
    picture = seen[-1].image
    return {"frames": len(seen), "shape": picture.shape, "levels": len(set(picture.ravel().tolist()))}


def tell(text: str) -> None:
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), address)


def look(place: Path, camera: bool) -> None:
    """Write down what this unit may do; where that is the service, stay until it is stopped."""
    tell("EXTEND_TIMEOUT_USEC=100000000")  # 40 s are for a board, not for an emulator
    seen = all_nodes()
    if camera:
        seen["camera"] = frames()
    place.write_text(json.dumps(seen))
    if camera:
        tell("READY=1\nWATCHDOG_USEC=100000000")
        signal.pause()


def started(unit: str) -> dict:
    began, place = time.monotonic(), Path(SEEN[unit])
    subprocess.run(["systemctl", "start", unit])
    seconds = time.monotonic() - began
    return {"seconds": seconds, **(json.loads(place.read_text()) if place.exists() else {})}


def said(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def drive() -> None:
    subprocess.run(["modprobe", "vivid", "n_devs=1", "node_types=1", "num_inputs=1"], check=True)
    subprocess.run(["udevadm", "settle"], check=True)
    camera = Path(CAMERA).stat()
    for node, (kind, major, minor) in MADE.items():
        os.mknod(node, kind, os.makedev(major, minor))
    for node in NODES[1:]:  # so that a refusal is not that of the mode; the camera keeps udev's
        os.chmod(node, 0o666)
    seen: dict = {"pid1": Path("/proc/1/comm").read_text().strip(), "mode": oct(camera.st_mode & 0o777)}
    seen |= {"free": all_nodes(), "nobody": as_nobody()}
    seen |= {unit: started(unit) for unit in SEEN}
    seen["show"] = said("systemctl", "show", "--property=ActiveState,Result,NRestarts,DeviceAllow", SERVICE)
    seen["journal"] = said("journalctl", "--boot", "--no-hostname", "--unit=*.service")
    print(json.dumps(seen | {"uptime_s": time.monotonic()}), flush=True)


if __name__ == "__main__":
    drive() if sys.argv[1] == "drive" else look(Path(sys.argv[2]), camera=sys.argv[1] == "service")

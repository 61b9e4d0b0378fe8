"""A real RTSP server (gst-rtsp-server) on the loopback interface, as a child process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pytest

SERVER = """
import sys, time
import gi
for name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer as Server
Gst.init(None)
missing = [name for name in ("x264enc", "rtph264pay", "videotestsrc") if not Gst.ElementFactory.find(name)]
if missing:
    sys.exit(f"GStreamer lacks {missing}")
port, method, password = sys.argv[1:]

def push(media):
    "A picture of the time: milliseconds of CLOCK_MONOTONIC, 16 bits as bright and dark bars."
    now_ms = int(time.monotonic() * 1000)
    row = b"".join((b"\\xdc" if now_ms >> bit & 1 else b"\\x20") * 20 for bit in range(16))
    picture = Gst.Buffer.new_wrapped(row * 240 + bytes([128]) * (320 * 120))
    return media.get_element().get_by_name("clock").emit("push-buffer", picture) == Gst.FlowReturn.OK

server = Server.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
caps = "video/x-raw,format=I420,width=320,height=240,framerate=25/1"
encode = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96"
streams = {
    "/camera": f"videotestsrc is-live=true pattern=ball ! {caps} ! {encode}",
    "/short": f"videotestsrc is-live=true num-buffers=60 ! {caps} ! {encode}",
    "/clock": f"appsrc name=clock is-live=true do-timestamp=true format=time caps={caps} ! {encode}",
    "/sound": "audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay0 pt=0",
}
for path, launch in streams.items():
    factory = Server.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    factory.set_shared(True)
    if password:
        allowed = Server.RTSPPermissions()
        allowed.add_permission_for_role("viewer", "media.factory.access", True)
        allowed.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(allowed)
    if path == "/clock":
        factory.connect("media-configure", lambda _, media: GLib.timeout_add(40, push, media))
    server.get_mount_points().add_factory(path, factory)
if password:
    auth, token = Server.RTSPAuth(), Server.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest("viewer", password, token)
    else:
        auth.add_basic(Server.RTSPAuth.make_basic("viewer", password), token)
    server.set_auth(auth)
if server.attach(None) == 0:
    sys.exit("the port is taken")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@dataclass
class Camera:
    process: subprocess.Popen[str]
    port: int

    def address(self, path: str = "camera", login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"


@cache
def python() -> tuple[str, str]:
    """An interpreter that can run the server, or why there is none."""
    why = ""
    for name in (sys.executable, "/usr/bin/python3"):
        try:
            probe = [name, "-c", SERVER.split("port,")[0]]  # the part that imports and looks for elements
            done = subprocess.run(probe, capture_output=True, text=True, timeout=60)
        except OSError as error:
            why = str(error)
            continue
        if done.returncode == 0:
            return name, ""
        why = done.stderr.strip().splitlines()[-1]
    return "", why


@contextmanager
def serve(port: int = 0, method: str = "basic", password: str = "") -> Iterator[Camera]:
    name, why = python()
    if not name:
        apt = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
        pytest.skip(f"no RTSP server ({why}): sudo apt install {apt}")
    command = [name, "-c", SERVER, str(port), method, password]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Camera(process, int(process.stdout.readline()))
        finally:
            process.kill()

"""Plays a clip in headless Chromium, and tells what the page sees of it."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
PATIENCE_S = 60.0  # a machine under load is slow
# Without these flags it looks up hosts on the internet at every start.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]

# The clip is fetched whole, because this server cannot send the parts that a player would ask for at a seek.
PAGE = """<!doctype html><video muted></video><script>
const video = document.querySelector("video");
const tell = told => fetch("told", {method: "POST", body: JSON.stringify(told)});
video.onerror = () => tell({error: video.error.message});
video.onloadeddata = () => { video.currentTime = SEEK; };
video.onseeked = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  tell({width: video.videoWidth, height: video.videoHeight, duration_s: video.duration,
        at_s: video.currentTime, first_pixel: Array.from(pixels.slice(0, 3))});
};
fetch("clip.mp4").then(got => got.blob()).then(whole => { video.src = URL.createObjectURL(whole); });
</script>"""


def play(clip: Path, seek_s: float, profile: Path) -> dict[str, Any]:
    """Load ``clip``, seek to ``seek_s``, and return the player's figures and a pixel of the frame there.

    ``profile`` is a new folder for the browser. A clip that does not play gives ``error``.
    """
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_clip = self.path == "/clip.mp4"
            content = clip.read_bytes() if is_clip else PAGE.replace("SEEK", str(seek_s)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4" if is_clip else "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = f"http://127.0.0.1:{server.server_port}/"
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", page]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return told.get(timeout=PATIENCE_S)
        finally:
            browser.terminate()
            browser.wait(PATIENCE_S)
            server.shutdown()

"""A service without its camera or its clock goes on, and says what it misses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

SECRET = "pl4nted"


def test_a_service_without_camera_and_clock_says_so_in_health_and_status(tmp_path: Path) -> None:
    health, notify = tmp_path / "health.json", tmp_path / "n"
    (tmp_path / "camera").write_text(SECRET)
    environ = os.environ | {"NOTIFY_SOCKET": str(notify), "CREDENTIALS_DIRECTORY": str(tmp_path)}
    words = ["run", "rtsp://kiosk@127.0.0.1:9/1", "--health", str(health), "--set", "detector.kind=haar"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(30)
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", *words], env=environ, stderr=subprocess.PIPE, text=True
        )
        try:
            told = ""
            while "STATUS=no frame" not in told:
                told += manager.recv(4096).decode() + "\n"
            figures = {}
            end = time.monotonic() + 20
            while not figures.get("missing") and time.monotonic() < end:
                time.sleep(0.2)
                figures = json.loads(health.read_text())
        finally:
            process.terminate()
            fault = process.communicate(timeout=20)[1]
    assert "READY=1" in told
    assert "refuses the connection" in told
    assert any(line.startswith("camera: rtsp://") for line in figures["missing"]), figures["missing"]
    assert figures["frames"] == 0
    assert figures["building"] is None
    assert SECRET not in told + json.dumps(figures) + fault

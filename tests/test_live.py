"""The shipped program on a live camera, from outside: a real RTSP server that dies and comes back."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import rtsp_server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def health(port: int, wanted, patience_s: float = 40.0) -> dict:
    """The figures as soon as ``wanted`` holds for them."""
    end, found = time.monotonic() + patience_s, {}
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                found = json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            pass  # it is still starting
        if found and wanted(found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {patience_s:.0f} s; last seen: {found}")


def test_a_camera_dies_and_comes_back_and_health_tells() -> None:
    port = free_port()
    with rtsp_server.serve(password="s3cret/x") as camera:
        address = camera.address("clock", login="viewer:s3cret%2Fx@")
        command = [sys.executable, "-m", "edge", "run", address, "--health", str(port), "--jsonl", "-"]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            before = health(port, lambda found: found["frames"] >= 25)
            assert before["fps"] > 5
            assert 0 <= before["age_s"]["p50"] < 1
            assert before["engine"].endswith("on ONNX Runtime")
            assert before["recovery"] == {}
            camera.process.kill()
            camera.process.communicate()
            time.sleep(1.0)
            with rtsp_server.serve(camera.port, password="s3cret/x"):
                after = health(port, lambda found: found["frames"] >= before["frames"] + 50)
                assert after["recovery"]["reopened"] >= 1
                started = time.monotonic()
                run.send_signal(signal.SIGTERM)
                _, told = run.communicate(timeout=20)
                stopped_s = time.monotonic() - started
        finally:
            run.kill()
            run.communicate()
    assert run.returncode == 130
    assert stopped_s < 4, "2 s by design, the rest for a loaded machine"
    assert "reopening" in told
    assert "frames are back" in told
    assert "s3cret" not in told
    assert "Traceback" not in told


def test_a_wrong_address_is_one_line() -> None:
    command = [
        sys.executable,
        "-m",
        "edge",
        "run",
        f"rtsp://u:pa55@127.0.0.1:{free_port()}/x",
        "--jsonl",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "refuses the connection" in done.stderr
    assert "pa55" not in done.stderr
    assert "Traceback" not in done.stderr

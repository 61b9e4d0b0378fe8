"""SIGHUP under a supervisor, from outside: the program runs on whatever the new settings hold."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import terminated

from edge.health.restart import note_restart

PROGRAM = """
import sys
sys.path[:0] = {folder!r}, *{path!r}
from looped_camera import Detector, camera, detectors, main, replace_part, sources
from edge.errors import EdgeError

class Breaks(Detector):
    def __init__(self, frames):
        super().__init__()
        self.left = frames

    def detect(self, frame, search=None):
        self.left -= 1
        if self.left < 0:
            raise EdgeError("the detector broke")
        return super().detect(frame, search)

replace_part(sources, "SOURCES", "picam", camera)
replace_part(detectors, "DETECTORS", "at-first", lambda *_: Breaks(3))
replace_part(detectors, "DETECTORS", "at-once", lambda *_: 1 / 0)
replace_part(detectors, "DETECTORS", "later", lambda *_: Breaks(40))
sys.exit(main())
"""


class Run:
    """The program as systemd sees it: what it tells, logs and writes."""

    def __init__(self, folder: Path, listener: socket.socket, name: str) -> None:
        self.settings, self.lines, self._log = (folder / name for name in ("c.toml", "out.jsonl", "log"))
        self._listener, self._told = listener, ""
        self.configure()
        self._words = [sys.executable, str(folder / "program.py"), "run", "-c", str(self.settings)]
        self._environ = os.environ | {"NOTIFY_SOCKET": name, "STATE_DIRECTORY": str(folder)}
        self.start()

    def start(self) -> None:
        """A fresh process; the log goes on."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._words, stderr=log, env=self._environ)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def configure(self, text: str = "", kind: str = "haar", address: str = "picam://0") -> None:
        self.settings.write_text(
            f'source.address = "{address}"\ndetector.kind = "{kind}"\noutput.jsonl = "{self.lines}"\n{text}'
        )

    def log(self) -> str:
        return self._log.read_text()

    def told(self) -> str:
        """All that was said to the supervisor, without the beats."""
        while True:
            try:
                said = self._listener.recv(4096).decode()
            except BlockingIOError:
                return self._told
            self._told += "" if said == "WATCHDOG=1" else f"{said}\n"

    def until(self, wanted: Callable[[], bool], patience_s: float = 40.0) -> None:
        end = time.monotonic() + patience_s
        while not wanted():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log()}"
            assert time.monotonic() < end, f"told: {self.told()}\nlog: {self.log()}"
            time.sleep(0.05)

    def flows(self) -> None:
        """Wait until more estimates are written."""
        size = self.lines.stat().st_size
        self.until(lambda: self.lines.stat().st_size > size)

    def reload(self, says: str) -> str:
        """Ask for it, wait for a log line that holds ``says``, and give what the supervisor heard."""
        log, told = len(self.log()), len(self.told())
        self.process.send_signal(signal.SIGHUP)
        self.until(lambda: says in self.log()[log:])
        self.until(lambda: self.told().count("READY=1") == self.told().count("RELOADING=1") + 1)
        return self.told()[told:]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run in good health on a camera that plays a clip."""
    terminated.prepare(tmp_path)
    text = PROGRAM.format(folder=str(tmp_path), path=[word for word in sys.path if word])
    (tmp_path / "program.py").write_text(text)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"@emotion-edge-reload-{os.getpid()}"
        listener.bind(name.replace("@", "\0"))
        listener.setblocking(False)
        started = Run(tmp_path, listener, name)
        try:
            started.until(lambda: "READY=1" in started.told() and started.lines.exists())
            started.flows()
            yield started
        finally:
            started.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_settings_that_cannot_be_built_are_refused_and_the_old_ones_stay(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for text, kind, address, fault in (
            ("", "bogus", "picam://0", "detector.kind is 'bogus'"),
            ('bundle.path = "/nonexistent"', "haar", "picam://0", "/nonexistent"),
            (f'output.health = "{port}"', "haar", "picam://0", f"health port {port}"),
            ("", "haar", "/nonexistent.mp4", "/nonexistent.mp4"),
            ("", "at-once", "picam://0", "division by zero"),  # a fault of the program itself
        ):
            run.configure(text, kind, address)
            told = run.reload("the old configuration stays: ")
            assert fault in [line for line in run.log().splitlines() if "stays: " in line][-1]
            assert told.startswith("RELOADING=1")
            assert told.rstrip().endswith("READY=1"), "the last word, after the old ones were built"
            run.flows()
    run.configure("output.every_frame = true")
    run.reload("the configuration was reloaded")
    run.until(lambda: '"fresh": false' in run.lines.read_text())


def test_health_tells_of_restarts_that_the_program_asked_for(run: Run, tmp_path: Path) -> None:
    note_restart(tmp_path, 1.0, "an earlier boot", "the camera's library hangs")
    run.configure(f'output.health = "{tmp_path}/health.json"')
    run.reload("the configuration was reloaded")
    run.until(lambda: "restarts" in (tmp_path / "health.json").read_text())
    found = json.loads((tmp_path / "health.json").read_text())
    assert found["restarts"] == {"count": 1, "last_ago_s": None, "reason": "the camera's library hangs"}


def test_settings_that_cannot_be_read_interrupt_nothing(run: Run) -> None:
    run.configure("output.health = 5.5")
    run.process.send_signal(signal.SIGHUP)
    run.until(lambda: "the old configuration stays: output.health" in run.log())
    run.flows()
    assert run.log().count("license of its weights") == 1, "nothing was built again"
    assert "RELOADING=1" not in run.told()


def test_settings_that_fail_at_the_first_frames_are_left_and_later_faults_are_not_hidden(run: Run) -> None:
    run.configure(kind="at-first")
    run.reload("the old configuration stays: the detector broke")
    run.flows()
    run.configure(kind="later")
    run.reload("the configuration was reloaded")
    assert run.process.wait(40) == 2, "settings that worked are the old ones by now"
    assert "error: the detector broke" in run.log().splitlines()[-1]


def test_a_camera_that_cannot_be_opened_is_waited_for_after_a_reload_too(run: Run) -> None:
    run.configure(address=f"rtsp://127.0.0.1:{free_port()}/x")
    run.reload("refuses the connection")
    assert "the configuration was reloaded" in run.log()
    run.configure(kind="bogus")
    run.reload("the old configuration stays: ")
    assert run.process.poll() is None
    run.configure()
    run.reload("the configuration was reloaded")
    run.flows()


def test_after_a_kill_in_mid_line_the_file_goes_on(run: Run) -> None:
    run.kill()
    before = run.lines.read_text()
    with run.lines.open("a") as file:
        file.write('{"schema": "emotion-ed')
    run.start()
    run.flows()
    run.flows()
    after = run.lines.read_text()
    assert after.startswith(before)
    half, *lines = after.removeprefix(before).splitlines()
    assert half == '{"schema": "emotion-ed'
    assert json.loads(lines[0])["label"]

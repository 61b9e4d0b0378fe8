"""The program in a child that is forked from a process which has imported everything: a run costs no start.

The program's own child, which tries a network for the first time,
    is forked from there in the same way instead of
being started; it sets itself the same limits. A sample of mutants goes the whole way, see ``fuzz.judge``.
"""

from __future__ import annotations

import importlib
import io
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PRELOADED = (
    "av", "cv2", "numpy", "onnxruntime", "edge.service", "edge.session", "edge.job", "edge.cli.program",
    "edge.capture.container", "edge.capture.decoded", "edge.capture.files", "edge.capture.file_clock",
    "edge.capture.file_structure", "edge.deploy.defaults", "edge.engines.admission",
    "edge.engines.admission_command",
    "edge.engines.ort", "edge.faces.haar", "edge.health.load_governor", "edge.sinks.jsonl",
    "edge.system.background",
    "edge.system.growing_file", "json", "subprocess", "importlib.metadata",
)  # fmt: skip
MEMORY_BYTES, FILE_BYTES = 4 << 30, 64 << 20  # a guard for this machine, far above what is allowed


@dataclass(frozen=True)
class Ended:
    """How a program ended: ``code`` is negative for a signal, None if it ran too long and was killed."""

    code: int | None
    told: str  # standard error
    took_s: float
    peak_mb: int  # of it and its children


def preload() -> None:
    """Import what a run imports; no session, no thread, no picture."""
    for name in PRELOADED:
        importlib.import_module(name)


def program(words: Sequence[str], folder: Path, most_s: float, environ: Mapping[str, str]) -> Ended:
    """``emotion-edge`` with these words, in a forked child whose working folder is ``folder``."""

    def work() -> int:
        from edge.cli import program
        from edge.engines import admission

        os.environ.update(environ)
        admission.Background = Forked  # type: ignore[misc, assignment]
        return program.main(words)

    return run(work, folder, most_s)


def run(work: Callable[[], int], folder: Path, most_s: float) -> Ended:
    """Run ``work`` in a forked child with bounds of its own; its exit code is what it returns."""
    out = os.memfd_create("told")
    began_s = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(work, folder, out)
    waiting = os.pidfd_open(child)
    try:
        in_time = bool(select.select([waiting], [], [], most_s)[0])
        if not in_time:
            os.killpg(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status) if in_time else None
        told = os.pread(out, 1 << 20, 0).decode("utf-8", "replace")
    finally:
        os.close(waiting)
        os.close(out)
    return Ended(code, told, time.monotonic() - began_s, used.ru_maxrss // 1024)


def _child(work: Callable[[], int], folder: Path, out: int) -> None:
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout, sys.stderr = _text(1), _text(2)
        for what, most in (
            (resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_FSIZE, FILE_BYTES)
        ):  # fmt: skip
            resource.setrlimit(what, (most, most))
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _text(number: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        open(number, "wb", 0, closefd=False), "utf-8", "backslashreplace", write_through=True
    )


class Forked:
    """Stands in for ``edge.system.background.Background``: the same child, forked instead of started."""

    def __init__(
        self, command: Sequence[str], request: str = "", environment: object = None, urgent: bool = False
    ) -> None:
        assert "edge.engines.admission_command" in command, command
        self._files = [os.memfd_create(name) for name in ("input", "output", "errors")]
        os.write(self._files[0], request.encode())
        os.lseek(self._files[0], 0, os.SEEK_SET)
        self.returncode: int | None = None
        self._child = os.fork()
        if self._child == 0:
            self._serve()

    def _serve(self) -> None:
        code = 99
        try:
            os.setsid()
            for number, file in enumerate(self._files):
                os.dup2(file, number)
            sys.stdin = open(0, closefd=False)  # noqa: SIM115  it ends with the process
            sys.stdout, sys.stderr = _text(1), _text(2)
            from edge.engines import admission_command
            from edge.system import signals

            signals.install()  # as at the start of a program
            code = admission_command.main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def wait(self, most_s: float | None = None) -> bool:
        waiting = os.pidfd_open(self._child)
        try:
            if not select.select([waiting], [], [], most_s)[0]:
                return False
        finally:
            os.close(waiting)
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        return True

    def output(self) -> str:
        return os.pread(self._files[1], 1 << 16, 0).decode("utf-8", "replace")

    def fault(self) -> str:
        if not self.returncode:
            return ""
        lines = os.pread(self._files[2], 1 << 16, 0).decode("utf-8", "replace").strip().splitlines()
        return (lines[-1].partition("error: ")[2] or lines[-1]) if lines else f"exit code {self.returncode}"

    def stop(self, patience_s: float = 0.0) -> None:
        if self.returncode is None and not self.wait(patience_s):
            os.kill(self._child, signal.SIGKILL)
            self.wait()
        for file in self._files:
            os.close(file)

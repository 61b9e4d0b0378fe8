"""A child process beside the run, without a word on the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from edge.system.process import START

_PATIENCE_S = 5.0
_MOST_BYTES = 1 << 16  # of its output that are read, from the end


class Background:
    """``command`` as a child in a session of its own, so that Ctrl-C reaches only the parent.

    It has a low priority, unless somebody waits for it: ``urgent``. ``request`` is what it finds on its
    standard input, ``environment`` replaces the parent's.
    """

    def __init__(
        self,
        command: Sequence[str],
        request: str = "",
        environment: Mapping[str, str] | None = None,
        urgent: bool = False,
    ) -> None:
        """Start it; OSError if that fails."""
        import subprocess  # most runs start no child

        # In memory, because a pipe that is not read could fill up, and the disk may be full.
        self._stdin, self._stdout, self._stderr = (_in_memory(name) for name in ("input", "output", "errors"))
        try:
            self._stdin.write(request.encode())
            self._stdin.seek(0)
            self._child = subprocess.Popen(
                [*([] if urgent else ["nice", "-n", "19"]), *command],
                stdin=self._stdin,
                stdout=self._stdout,
                stderr=self._stderr,
                start_new_session=True,
                cwd=START,
                env=environment,
            )
        except BaseException:
            self.free()
            raise

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._child.poll()

    def wait(self, most_s: float | None = None) -> bool:
        """Wait for its end, at most ``most_s`` seconds; whether it has ended."""
        from subprocess import TimeoutExpired

        try:
            self._child.wait(most_s)
        except TimeoutExpired:
            return False
        return True

    def output(self) -> str:
        """What the finished child wrote to standard output."""
        return _tail(self._stdout)

    def fault(self) -> str:
        """The finished child's error message; "" if it succeeded."""
        if not self.returncode:
            return ""
        lines = _tail(self._stderr).strip().splitlines()
        return (lines[-1].partition("error: ")[2] or lines[-1]) if lines else f"exit code {self.returncode}"

    def stop(self, patience_s: float = _PATIENCE_S) -> None:
        """End the child, which may take ``patience_s`` to end its own child and to remove partial files."""
        from subprocess import TimeoutExpired

        self._child.terminate()
        try:
            self._child.wait(patience_s)
        except TimeoutExpired:
            self.kill()
            self._child.wait()
        self.free()

    def kill(self) -> None:
        """End the child at once; may be called while another thread waits for it."""
        self._child.kill()

    def free(self) -> None:
        """Free the memory of its output, once it has ended."""
        for file in (self._stdin, self._stdout, self._stderr):
            file.close()


def _in_memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "w+b", buffering=0)


def _tail(file: BinaryIO) -> str:
    """The end of what a child has written, which may be a disk's worth, and not even text."""
    number = file.fileno()
    size = os.fstat(number).st_size
    return os.pread(number, _MOST_BYTES, max(0, size - _MOST_BYTES)).decode("utf-8", "replace")

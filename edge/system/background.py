"""A child process for work that can wait: of low priority, and without a word on the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence

from edge.system.process import START

_PATIENCE_S = 5.0
_MOST_CHARACTERS = 65_536


class Background:
    """``command`` as a low-priority child in a session of its own, so that Ctrl-C reaches only the parent."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it; OSError if that fails."""
        import subprocess  # most runs start no child

        # In memory, because a pipe that is not read could fill up, and the disk may be full.
        self._stdout = os.fdopen(os.memfd_create("output"), "w+")
        self._stderr = os.fdopen(os.memfd_create("errors"), "w+")
        try:
            self._child = subprocess.Popen(
                ["nice", "-n", "19", *command],
                stdin=subprocess.DEVNULL,
                stdout=self._stdout,
                stderr=self._stderr,
                start_new_session=True,
                cwd=START,
            )
        except BaseException:
            self.free()
            raise

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._child.poll()

    def wait(self) -> None:
        """Wait for its end."""
        self._child.wait()

    def output(self) -> str:
        """What the finished child wrote to standard output, at most 65,536 characters."""
        self._stdout.seek(0)
        return self._stdout.read(_MOST_CHARACTERS)

    def fault(self) -> str:
        """The finished child's error message; "" if it succeeded."""
        if not self.returncode:
            return ""
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        return lines[-1].rpartition("error: ")[2] if lines else f"exit code {self.returncode}"

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
        self._stdout.close()
        self._stderr.close()

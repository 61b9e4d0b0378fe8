"""A board behind the user's own ssh: runs scripts there, feeds them, and says what went wrong."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from edge.errors import ConfigError, DependencyError, EdgeError
from edge.system.closing import Closing

_LOST = 255  # ssh's own fault; every other code is the remote command's
_FAULTS = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "has another host key than before; if the board was flashed "
     "since: ssh-keygen -R {host}"),
    ("Host key verification failed", "has a host key that is not known here; connect once by hand: "
     "ssh {login}"),
    ("Permission denied", "takes no key of yours; run: ssh-copy-id {login}"),
    ("Could not resolve", "has a name that is not known; give the board's address"),
    ("Connection refused", "runs no ssh server; on the board: sudo apt install openssh-server"),
    ("timed out", "does not answer; check address, network and power"),
    ("No route to host", "is not reachable; check address and network"),
)  # fmt: skip

_FULL = ("No space left", "Wrote only")  # the second is what GNU tar says of a write that was cut short


class Remote(Closing):
    """One connection, shared by all calls, so that a password is asked for once."""

    def __init__(self, login: str, ask: Callable[[str], str] | None = None) -> None:
        """``login`` is USER@HOST or a name of ~/.ssh/config; ``ask`` reads a password, None without a person.

        ConfigError for a login that ssh would take for an option. Nothing is connected yet.
        """
        if not login or login.startswith("-") or login != login.strip() or "\0" in login:
            raise ConfigError(f"--host is {login!r:.60}, expected USER@HOST")
        self.login, self._ask = login, ask
        self._folder = tempfile.TemporaryDirectory(prefix="emotion-edge-ssh-")  # for the connection's socket
        self._sudo: list[str] = []
        self._password = b""

    def close(self) -> None:
        """End the shared connection."""
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*self._ssh(), "-O", "exit", "--", self.login], capture_output=True, timeout=10)
        self._folder.cleanup()

    def become_root(self, uid: str, sudo: str) -> None:
        """Settle how later calls become root, from what the board says of itself.

        EdgeError if sudo wants a password and there is nobody to ask, or it is wrong.
        """
        if uid == "0":
            return
        if sudo == "none":
            raise EdgeError(f"{self.login} is not root, and there is no sudo on the board; log in as root")
        self._sudo = ["sudo", "-n", "--"]
        if sudo == "free":
            return
        if self._ask is None:
            raise EdgeError(
                f"sudo on {self.login} asks for a password; run this in a terminal, or let that user do "
                "without one"
            )
        self._password = self._ask(f"password of {self.login} for sudo: ").encode() + b"\n"
        self._sudo = ["sudo", "-k", "-S", "-p", "", "--"]
        try:
            self.root("true")
        except EdgeError as error:
            raise EdgeError(f"sudo on {self.login} does not take that password; try it again") from error

    def run(self, script: bytes, *arguments: str) -> str:
        """What a shell script prints, which the login's user runs."""
        return self._call(["sh", "-s", "--", *arguments], lambda pipe: _write(pipe, script))

    def root(self, script: str, feed: Callable[[IO[bytes]], None] | None = None) -> str:
        """What a command line prints, which root runs; ``feed`` writes its standard input.

        Nothing secret may stand in ``script``: the board's process list shows it.
        """

        def write(pipe: IO[bytes]) -> None:
            pipe.write(self._password)
            if feed:
                feed(pipe)

        return self._call([*self._sudo, "sh", "-c", script], write)

    def shown(self, script: str) -> str:
        """The command line of ``root`` as a person would type it."""
        return shlex.join(["ssh", self.login, shlex.join(["sudo", "sh", "-c", script])])

    def _call(self, words: list[str], feed: Callable[[IO[bytes]], None]) -> str:
        """Files, not pipes, take what is said: the shared connection keeps them open after the call."""
        command = [*self._ssh(), "--", self.login, shlex.join(words)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as fault:
            try:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=fault)
            except OSError as error:
                raise DependencyError(
                    f"ssh cannot be run ({error.strerror}); install openssh-client"
                ) from error
            assert process.stdin is not None
            try:
                with suppress(BrokenPipeError):  # why it ended is said below
                    feed(process.stdin)
                with suppress(BrokenPipeError):
                    process.stdin.close()
                code = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                with suppress(OSError):  # what it has not read
                    process.stdin.close()
                raise
            said, told = _read(out), _read(fault)
        if code:
            raise self._fault(code, told)
        return said

    def _fault(self, code: int, told: str) -> EdgeError:
        host = self.login.rpartition("@")[2]
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        refused = [line.removeprefix("refused: ") for line in lines if line.startswith("refused: ")]
        if refused:
            return EdgeError(f"{host}: {refused[-1]}")
        if code == _LOST:
            for sign, words in _FAULTS:
                if sign in told:
                    return EdgeError(f"{host} {words.format(host=host, login=self.login)}")
            last = lines[-1] if lines else "the connection was lost"
            return EdgeError(f"{host}: {last:.200}; run the same command again")
        if any(sign in told for sign in _FULL):
            return EdgeError(f"{host} has no space left; free some there and run the same command again")
        last = lines[-1] if lines else f"exit code {code}"
        return EdgeError(f"{host}: {last:.200}")

    def _ssh(self) -> list[str]:
        batch = "no" if self._ask else "yes"  # without a person, ssh fails where it would ask
        return [
            *("ssh", "-T", "-o", f"BatchMode={batch}", "-o", "ConnectTimeout=15"),
            *("-o", "ServerAliveInterval=15", "-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
            *("-o", f"ControlPath={self._folder.name}/%C"),
        ]


def asker() -> Callable[[str], str] | None:
    """What reads a password from the person at the terminal; None where nobody sits at one."""
    from getpass import getpass

    return getpass if sys.stdin is not None and sys.stdin.isatty() else None


def _write(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(data)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def version_of(path: Path) -> tuple[str, str]:
    """Version and architecture of a package, from its file's name; ConfigError for another name."""
    name, _, rest = path.name.removesuffix(".deb").partition("_")
    version, _, arch = rest.rpartition("_")
    if name != "emotion-edge" or not version or not arch:
        raise ConfigError(
            f"{path.name} is not named emotion-edge_VERSION_ARCH.deb; give a folder of kit make"
        )
    return version, arch


def sorted_debs(folder: Path) -> list[Path]:
    """The packages in a folder; ConfigError if it cannot be read."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(".deb"))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read ({error.strerror}); give a folder of kit make") from error

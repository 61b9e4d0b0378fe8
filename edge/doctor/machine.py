"""The machine that is looked at: this one, or the tree of another one, of which only files can be read."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePath

from edge.config import Config
from edge.errors import EdgeError
from edge.system.checked_file import FileRefused, read_checked

MOST_LINKS = 40  # as the kernel follows
SERVICE = "emotion-edge.service"  # as in edge.deploy.units, whose import loads NumPy
SETTINGS = "etc/emotion-edge.toml"
KIT = "usr/lib/emotion-edge"  # the environment that a package brings
STATE, CACHE, RUN = "var/lib/emotion-edge", "var/cache/emotion-edge", "run/emotion-edge"


def further_cameras(machine: Machine) -> list[str]:
    """NAME of each emotion-edge@NAME that has settings or starts at boot."""
    files = machine.found("etc/emotion-edge/*.toml")
    units = machine.found("etc/systemd/system/*.wants/emotion-edge@*.service")
    return sorted({path.stem.removeprefix("emotion-edge@") for path in (*files, *units)})


class Machine:
    """Files below ``root``, and commands if that is this very machine (``live``)."""

    def __init__(
        self,
        root: Path = Path("/"),
        config: Config | None = None,
        settings: Path | None = None,
        fault: EdgeError | None = None,
        name: str = "",
    ) -> None:
        """``settings``: the file that ``config`` was read from; ``fault``: why it could not be.

        ``name``: of the further camera whose service is looked at, as in emotion-edge@NAME.
        """
        self.root, self.live = root, root == Path("/")
        self.config, self.settings, self.fault, self.name = config or Config(), settings, fault, name
        self.others: list[Machine] = []  # the same machine with the settings of each further camera

    @property
    def unit(self) -> str:
        """The service that is looked at."""
        return SERVICE.replace(".", f"@{self.name}.") if self.name else SERVICE

    @property
    def cache(self) -> str:
        """Folder of the service's cache."""
        return f"{CACHE}-{self.name}" if self.name else CACHE

    def path(self, name: str) -> Path:
        """Where the file ``name`` of that machine lies here; links are followed as if ``root`` were /."""
        if self.live:
            return self.root / name
        left, found, links = list(reversed(PurePath("/", name).parts[1:])), self.root, 0
        while left:
            part = left.pop()
            if part == "..":
                found = found.parent if found != self.root else found
                continue
            step = found / part
            if step.is_symlink():
                if (links := links + 1) > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
                target = PurePath(os.readlink(step))
                found = self.root if target.is_absolute() else found
                left += reversed([word for word in target.parts if word != "/"])
            else:
                found = step
        return found

    def named(self, path: str) -> Path:
        """Where a path of the settings lies here; a relative one starts in the working folder."""
        return Path(path) if self.live else self.path(path)

    def raw(self, name: str, most_bytes: int = 1 << 20) -> bytes:
        """Content of a small file, b"" if it cannot be read, is no regular file, or is larger."""
        try:
            return read_checked(self.path(name), most_bytes, follow=self.live)
        except (FileRefused, OSError):
            return b""

    def text(self, name: str, most_bytes: int = 1 << 20) -> str:
        """``raw`` as text; what is no UTF-8 is replaced."""
        return self.raw(name, most_bytes).decode("utf-8", "replace")

    def word(self, name: str) -> str:
        """The first 256 characters of a file, without blanks and a device tree's NUL at their ends."""
        return self.text(name)[:256].strip("\0 \t\r\n")

    def exists(self, name: str) -> bool:
        """Whether there is anything under that name."""
        return os.path.lexists(self.path(name))

    def found(self, pattern: str) -> Iterator[Path]:
        """Files, folders and links that fit a pattern, by name; their paths are those here."""
        folder, _, name = pattern.rpartition("/")
        if set(name) & set("*?["):
            paths = list(self.root.glob(pattern))
        else:  # pathlib leaves out a link that leads to nothing here, as an absolute one of a tree does
            parents = self.root.glob(folder) if folder else [self.root]
            paths = [parent / name for parent in parents if os.path.lexists(parent / name)]
        return iter(sorted(paths, key=lambda path: (len(path.name), path)))

    def said(self, *command: str, timeout_s: float = 5.0) -> str | None:
        """What a command writes; None if it is missing, fails or takes too long, and in a tree."""
        if not self.live:
            return None
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode("utf-8", "replace")

    def package(self, name: str) -> str:
        """Version of an installed Debian package, "" without it."""
        status = self.text("var/lib/dpkg/status", 64 << 20)
        at = f"\n{status}".find(f"\nPackage: {name}\n")
        if at < 0:
            return ""
        paragraph = status[at : at + 20_000].partition("\n\n")[0]
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines())
        return fields.get("Version", "") if fields.get("Status", "").endswith(" installed") else ""

"""What a program asks the kernel for, seen from outside with strace: network calls, and files it changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

NETWORK = ("connect", "sendto", "sendmsg", "sendmmsg")
OPENS = ("open", "openat", "openat2", "creat")
CHANGES = (
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "truncate"),
    *("link", "linkat", "symlink", "symlinkat", "mknod", "mknodat"),
)
_WRITES = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)")
_STRING = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_DEVICES = ("/dev/null", "/dev/zero", "/dev/tty", "/dev/full", "/dev/pts/", "/proc/self/")


class Call(NamedTuple):
    """One system call: its name, and the text between its parentheses and after them."""

    name: str
    inside: str
    result: str


@cache
def strace() -> list[str]:
    """The command; empty where strace is missing or the kernel does not permit it."""
    if shutil.which("strace") is None:
        return []
    for fast in (["--seccomp-bpf"], []):  # stops at the traced calls only: several times as fast
        words = ["strace", "-f", "-qq", "-y", *fast, "-e", f"trace={','.join((*NETWORK, *OPENS, *CHANGES))}"]
        if (
            subprocess.run([*words, "-o", "/dev/null", "true"], capture_output=True, timeout=60).returncode
            == 0
        ):
            return words
    return []


def start(words: Sequence[str], out: Path, environ: dict[str, str], cwd: Path) -> subprocess.Popen[str]:
    """Start a program; its calls go to ``out``."""
    return subprocess.Popen(
        [*strace(), "-o", str(out), *words],
        cwd=cwd, env=environ, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def calls(text: str) -> Iterator[Call]:
    """The calls of strace's output. A call that another thread interrupts is written in two parts."""
    begun: dict[str, str] = {}
    for line in text.splitlines():
        process, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", rest):
            rest = begun.pop(process, "") + rest[resumed.end() :]
        if found := re.match(r"(\w+)\((.*)\)\s+= (.*)", rest):
            yield Call(*found.groups())
    for rest in begun.values():  # the process ended within the call
        name, _, inside = rest.partition("(")
        yield Call(name, inside, "?")


def network(text: str) -> list[str]:
    """Each call to another machine or to a port of this one, whether it succeeded or not."""
    return [
        f"{call.name}({call.inside})"
        for call in calls(text)
        if call.name in NETWORK and re.search(r"\bAF_INET6?\b", call.inside)
    ]


def changed(text: str, cwd: Path) -> set[str]:
    """Every path that was created, opened for writing, renamed or removed."""
    paths: set[str] = set()
    for call in calls(text):
        if call.result.startswith("-1"):
            continue
        if call.name in OPENS and (call.name == "creat" or _WRITES.search(call.inside)):
            opened = re.match(r"\d+<(.*)>", call.result)
            paths.add(opened[1] if opened else call.inside)
        elif call.name in CHANGES:
            for folder, name in _STRING.findall(call.inside):
                paths.add(os.path.normpath(os.path.join(folder or cwd, name)))
    return {path for path in paths if not path.startswith(_DEVICES)}


def outside(paths: set[str], allowed: Sequence[Path]) -> list[str]:
    """The paths that lie neither in one of the folders nor on the way to one."""
    kept = [folder.resolve() for folder in allowed]
    return sorted(
        path
        for path in paths
        if not any(Path(path).is_relative_to(folder) or folder.is_relative_to(path) for folder in kept)
    )

"""Engine files: built on this machine from a verified bundle, kept with all that they are tied to.

A plan is code. Only plans with a sidecar that this machine wrote, in a folder that nobody else may write to,
are loaded; whatever does not fit is built again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.engines.tensorrt.builder import BUILDER_MB, WORKSPACE_MB, library, memory_fault
from edge.errors import EdgeError
from edge.system.atomic_write import atomic_write
from edge.system.cache import cache_folder
from edge.system.device import gpu, jetpack
from edge.system.hashing import sha256
from edge.system.process import START


class Refused(EdgeError):
    """The builder takes this file not; another precision may do."""

    exit_code = 3


_SAYS = "trt_build: error: "
# What people ask for -> what the bundle calls it, in the order in which they are tried.
PRECISIONS = {"int8": "int8-trt", "fp16": "fp16", "fp32": "fp32"}


@dataclass(frozen=True)
class Key:
    """Everything an engine file is tied to."""

    library: str  # tensorrt or tensorrt_rtx
    version: str
    gpu: str
    capability: str
    jetpack: str
    machine: str  # of /etc/machine-id: a cache that was copied here was not built here
    model_sha256: str
    precision: str
    faces: int

    def stem(self) -> str:
        """A file name of its own for every key."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.precision}-{digest[:16]}"


def key_of(bundle: Bundle, precision: str, faces: int, capability: str = "") -> Key:
    """Key of an engine of ``bundle`` here, or for another ``capability``; EdgeError without TensorRT."""
    trt = library()
    here = gpu() if not capability else None
    return Key(
        library=trt.__name__,
        version=trt.__version__,
        gpu=here.name if here else "another",
        capability=here.capability if here else capability,
        jetpack=jetpack(),
        machine=machine_id(),
        model_sha256=bundle.manifest.files[precision].sha256,
        precision=precision,
        faces=faces,
    )


def machine_id(path: Path = Path("/etc/machine-id")) -> str:
    """The number that this installation gave itself (machine-id(5)); empty where it has none."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def default_folder() -> Path:
    """Where engines are kept: ``engines`` in the user's cache."""
    return cache_folder() / "engines"


def find(folder: Path, key: Key) -> Path | None:
    """The plan of ``key``, or None where it must be built: none there, another key, other bytes, foreign."""
    plan, sidecar = _paths(folder, key)
    try:
        if _foreign(folder) or _foreign(plan) or _foreign(sidecar):
            return None
        kept = json.loads(sidecar.read_text("utf-8"))
        return plan if kept == {**asdict(key), "plan_sha256": sha256(plan)} else None
    except (OSError, ValueError):
        return None


def forget(plan: Path) -> None:
    """Remove a plan that turned out to be of no use; EdgeError where that is not allowed."""
    try:
        plan.unlink(missing_ok=True)
    except OSError as error:
        raise EdgeError(f"{plan} does not load and cannot be removed ({error.strerror})") from error


def _foreign(path: Path) -> bool:
    """Whether somebody else owns ``path`` or may write to it."""
    about = path.stat()
    return about.st_uid != os.geteuid() or bool(about.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _paths(folder: Path, key: Key) -> tuple[Path, Path]:
    return folder / f"{key.stem()}.plan", folder / f"{key.stem()}.json"


def make(
    bundle: Bundle, key: Key, folder: Path, say: Callable[[str], None], workspace_mb: int = WORKSPACE_MB
) -> Path:
    """Build the plan of ``key`` in a child process and return its path; ``folder`` is absolute.

    ``say`` takes lines of progress, "42 Building engine", and warnings. EdgeError where the builder refuses
    the file (in the parser's words), is killed, or the folder cannot be written; no half engine is left.
    """
    _prepare(folder)
    with _alone(folder):
        if plan := find(folder, key):  # built by another process, which this one waited for
            return plan
        plan, sidecar = _paths(folder, key)
        timed = folder / f"timing-{key.version}.cache"
        try:
            sidecar.unlink(missing_ok=True)  # a plan without its sidecar is no engine
            for path in (plan, sidecar, timed):
                for litter in folder.glob(f"{path.name}.*.part"):  # of a builder that was killed as it wrote
                    litter.unlink()
        except OSError as error:
            raise _unwritable(folder, error) from error
        if fault := memory_fault(BUILDER_MB + workspace_mb):
            say(f"warning: {fault}")
        command = [
            sys.executable, "-m", "edge.engines.tensorrt.builder",
            str(bundle.model(key.precision).resolve()), str(plan), "--sha256", key.model_sha256,
            "--faces", str(key.faces), "--workspace-mb", str(workspace_mb),
            "--timing-cache", str(timed),
        ]  # fmt: skip
        if key.gpu == "another":
            command += ["--capability", key.capability]
        _run(command, say)
        text = json.dumps({**asdict(key), "plan_sha256": sha256(plan)}, indent=1)
        atomic_write(sidecar, text.encode(), 0o600)
    return plan


def _prepare(folder: Path) -> None:
    """Make the folder, and see that it is this user's alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = _foreign(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if foreign:
        raise EdgeError(f"{folder} can be written by others; give it to this user alone: chmod 700 {folder}")


def _unwritable(folder: Path, error: OSError) -> EdgeError:
    return EdgeError(f"cannot write {folder} ({error.strerror}); pass another folder with --out")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process builds into ``folder``; another one waits for it."""
    try:
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _run(command: Sequence[str], say: Callable[[str], None]) -> None:
    """Run the builder; its progress goes to ``say``. Refused or EdgeError where it ends without a plan."""
    # Its errors go to memory: a pipe that nobody reads would fill up, and a disk may be full.
    with os.fdopen(os.memfd_create("builder"), "w+") as told:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True, cwd=START)
        assert child.stdout is not None
        try:
            with child.stdout:
                for line in child.stdout:
                    say(line.strip())
            child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
        told.seek(0)
        text = told.read()
    if child.returncode == Refused.exit_code:
        raise Refused(_reason(text))
    if child.returncode:
        raise EdgeError(_why(child.returncode, text))


def _reason(told: str) -> str:
    """The builder's one line among what the library printed."""
    lines = [line for line in told.splitlines() if line.startswith(_SAYS)]
    return lines[-1].removeprefix(_SAYS) if lines else told[-300:]


def _why(code: int, told: str) -> str:
    if code == -signal.SIGKILL:
        return (
            "the builder was killed, most likely by the kernel for want of memory; close other programs, "
            "add swap (sudo fallocate -l 4G /swapfile; ...), or pass a smaller --workspace-mb"
        )
    return _reason(told) if code == EdgeError.exit_code else f"the builder ended with {code}: {_reason(told)}"

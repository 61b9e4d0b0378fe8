"""Engine files (plans), built on this machine from a verified bundle and stored with a key.

A plan is code. It is loaded only if its sidecar was written by this machine and no other user may write to
plan, sidecar or their folder. If its key does not match, it is rebuilt.
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
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.engines.tensorrt import build_progress
from edge.engines.tensorrt.builder import BUILDER_MB, WORKSPACE_MB, library, memory_fault
from edge.errors import EdgeError, reason
from edge.system import strict_json
from edge.system.cache import cache_folder
from edge.system.checked_file import FileRefused
from edge.system.device import gpu, jetpack
from edge.system.hashing import digest
from edge.system.ownership import fix, make_own_folder, open_own, own_folder, read_own, write_own
from edge.system.process import START


class Refused(EdgeError):
    """The builder rejects this file; another precision may work."""

    exit_code = 3


_ERROR_PREFIX = "trt_build: error: "
MOST_BYTES = 4 << 30  # of a plan
# Name for users -> precision of the bundle, in the order in which they are tried.
PRECISIONS = {"int8": "int8-trt", "fp16": "fp16", "fp32": "fp32"}


@dataclass(frozen=True)
class Key:
    """Everything an engine file depends on."""

    library: str  # tensorrt or tensorrt_rtx
    version: str
    gpu: str
    capability: str
    jetpack: str
    machine: str  # /etc/machine-id, which detects a cache copied from another machine
    model_sha256: str
    precision: str
    faces: int

    def stem(self) -> str:
        """A unique file name for the key."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.precision}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def key_of(bundle: Bundle, precision: str, faces: int, capability: str = "") -> Key:
    """The key for ``bundle`` on this GPU, or on one with ``capability``; EdgeError without TensorRT."""
    trt = library()
    device = gpu() if not capability else None
    return Key(
        library=trt.__name__,
        version=trt.__version__,
        gpu=device.name if device else "another",
        capability=device.capability if device else capability,
        jetpack=jetpack(),
        machine=machine_id(),
        model_sha256=bundle.manifest.files[precision].sha256,
        precision=precision,
        faces=faces,
    )


def machine_id(path: Path = Path("/etc/machine-id")) -> str:
    """The id of this installation (machine-id(5)); "" if it has none."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def default_folder() -> Path:
    """Where engines are stored: ``engines`` in the user's cache."""
    return cache_folder() / "engines"


def find(folder: Path, key: Key) -> Path | None:
    """The plan for ``key``; None if it must be built: missing, another key, changed bytes, or foreign."""
    plan, sidecar = _paths(folder, key)
    try:
        record = strict_json.loads(read_own(sidecar))
        return plan if record == {**asdict(key), "plan_sha256": _sha256(plan)} else None
    except (OSError, FileRefused, ValueError):
        return None


def read(plan: Path) -> bytes:
    """The bytes of a plan from ``find`` or ``make``; EdgeError if it is not this user's own."""
    try:
        return read_own(plan, MOST_BYTES)
    except FileRefused as error:
        raise EdgeError(f"{plan} {error}; remove it, and it is built again") from error


def _sha256(plan: Path) -> str:
    with open_own(plan, MOST_BYTES) as file:
        return digest(file)


def forget(plan: Path) -> None:
    """Remove a plan that cannot be loaded; EdgeError without permission."""
    try:
        plan.unlink(missing_ok=True)
    except OSError as error:
        raise EdgeError(f"{plan} is stale, but cannot be removed ({error.strerror}); remove it") from error


def _paths(folder: Path, key: Key) -> tuple[Path, Path]:
    return folder / f"{key.stem()}.plan", folder / f"{key.stem()}.json"


def make(
    bundle: Bundle, key: Key, folder: Path, say: Callable[[str], None], workspace_mb: int = WORKSPACE_MB
) -> Path:
    """Build the plan for ``key`` in a child process and return its path; ``folder`` is absolute.

    ``say`` receives lines of progress, "42 Building engine", and warnings; other processes
    find the progress by ``build_progress.read``. EdgeError if the builder rejects
    the file (with the parser's message), is killed, or the folder cannot be written; no partial engine is
    left.
    """
    _prepare(folder)
    with _locked(folder) as lock:
        if plan := find(folder, key):  # built by another process in the meantime
            return plan
        plan, sidecar = _paths(folder, key)
        timing_cache = folder / f"timing-{key.version}.cache"
        try:
            sidecar.unlink(missing_ok=True)  # a plan without its sidecar is never loaded
            for path in (plan, sidecar, timing_cache):
                for leftover in folder.glob(f"*{path.name}.*.part"):  # from a builder killed while writing
                    leftover.unlink()
        except OSError as error:
            raise _unwritable(folder, error) from error
        if fault := memory_fault(BUILDER_MB + workspace_mb):
            say(f"warning: {fault}")
        command = [
            sys.executable, "-m", "edge.engines.tensorrt.builder",
            str(bundle.model(key.precision).resolve()), str(plan), "--sha256", key.model_sha256,
            "--faces", str(key.faces), "--workspace-mb", str(workspace_mb),
            "--timing-cache", str(timing_cache),
        ]  # fmt: skip
        if key.gpu == "another":
            command += ["--capability", key.capability]

        def tell(line: str) -> None:
            build_progress.write(lock, key.precision, line)
            say(line)

        _run(command, tell)
        try:
            record = {**asdict(key), "plan_sha256": _sha256(plan)}
        except FileRefused as error:
            raise EdgeError(f"{plan} {error}, after it was built; {fix(folder)}") from error
        write_own(sidecar, json.dumps(record, indent=1).encode())
    return plan


def _prepare(folder: Path) -> None:
    """Create the folder and check that no other user can write to it."""
    try:
        make_own_folder(folder)
        with own_folder(folder):
            pass
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise _unwritable(folder, error) from error
    except FileRefused as error:
        raise EdgeError(f"{folder} {error}; {fix(folder, 'pass another folder with --out')}") from error


def _unwritable(folder: Path, error: Exception) -> EdgeError:
    return EdgeError(f"cannot write {folder} ({reason(error)}); pass another folder with --out")


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Let only one process at a time build into ``folder``; others wait. Yields the lock's open file."""
    path = folder / build_progress.LOCK
    try:
        _remove_strangers_lock(path)
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.ftruncate(lock, 0)  # what another one wrote that was killed
        yield lock
    finally:
        os.close(lock)


def _remove_strangers_lock(path: Path) -> None:
    """One from before the folder was closed, that its owner could hold for ever."""
    with suppress(FileNotFoundError):
        status = os.lstat(path)
        if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
            path.unlink()


def _run(command: Sequence[str], say: Callable[[str], None]) -> None:
    """Run the builder; its progress goes to ``say``. Refused or EdgeError if it produces no plan."""
    # Its errors go to memory, because a pipe that is not read would fill up, and the disk may be full.
    with os.fdopen(os.memfd_create("builder"), "w+") as stderr:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=START)
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
        stderr.seek(0)
        text = stderr.read()
    if child.returncode == Refused.exit_code:
        raise Refused(_reason(text))
    if child.returncode:
        raise EdgeError(_fault(child.returncode, text))


def _reason(stderr: str) -> str:
    """The builder's error line among the output of the library."""
    lines = [line for line in stderr.splitlines() if line.startswith(_ERROR_PREFIX)]
    return lines[-1].removeprefix(_ERROR_PREFIX) if lines else stderr[-300:]


def _fault(code: int, stderr: str) -> str:
    if code == -signal.SIGKILL:
        return (
            "the builder was killed, most likely because memory ran out; close other programs, "
            "add swap (sudo fallocate -l 4G /swapfile; ...), or pass a smaller --workspace-mb"
        )
    reason = _reason(stderr)
    return reason if code == EdgeError.exit_code else f"the builder failed with exit code {code}: {reason}"

"""Debian root file systems for the tests on boards' software, made once and kept between runs.

They lie in the folder that EMOTION_EDGE_CACHE names, else in ~/.cache/emotion-edge-boards. Each is made
beside its place and renamed when it is complete, so what has its final name is whole. Making and running
need root; what is mounted for a command is seen by it alone and is gone with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

BASE = ("python3", "python3-venv", "python3-numpy", "systemd", "systemd-sysv", "dbus", "udev")
UNSEEN = ("unshare", "--mount", "--propagation", "private")  # mounts of the command stay its own
_PASSED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_OFFLINE = (
    "Failed getting release file",
    "Could not resolve",
    "Temporary failure resolving",
    "Failed to fetch",
)

# /dev gets the few nodes that programs expect, in memory: nothing of the host's hardware shows through.
_ENTER = """
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom; do
    touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts"; mount -t devpts -o newinstance,ptmxmode=666 pts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/shm"; mount -t tmpfs shm "$root/dev/shm"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"; mount --bind -o ro "$1" "$root$2"; shift 2
done
shift
exec chroot "$root" "$@"
"""


class Offline(Exception):
    """The package archive cannot be reached."""


def why_not() -> str | None:
    """What is missing here to make and enter a root file system; None where nothing is."""
    if os.geteuid() != 0:
        return "making a root file system needs root"
    missing = [tool for tool in ("debootstrap", "unshare", "chroot") if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def trixie_amd64() -> Path:
    """Debian 13 for amd64 with BASE, to be left as it is: give ``with_packages`` what a test adds.

    The first call takes three minutes and 400 MB. Raises Offline where the archive cannot be reached.
    """
    return _made(f"trixie-amd64-{_digest(BASE)}", _bootstrap)


def with_packages(
    name: str, packages: Sequence[str], finish: Callable[[Path], None] = lambda root: None, version: str = ""
) -> Path:
    """A copy of ``trixie_amd64()`` with Debian packages in it, then changed by ``finish``; kept as well.

    Another list of packages or another ``version`` (of what ``finish`` does) makes a new one.
    """
    base = trixie_amd64()

    def fill(root: Path) -> None:
        copy(base, root)
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        if packages:
            checked(run(root, [*apt, "update"]))
            checked(run(root, [*apt, "install", "--no-install-recommends", "--yes", *packages]))
            checked(run(root, [*apt, "clean"]))
        finish(root)

    return _made(f"trixie-amd64-{name}-{_digest([base.name, *packages, version])}", fill)


def copy(root: Path, to: Path) -> Path:
    """All of ``root`` in the folder ``to``, which is made if it is not there."""
    subprocess.run(["cp", "-a", "--reflink=auto", "--no-target-directory", str(root), str(to)], check=True)
    return to


def kept(name: str, fill: Callable[[Path], None], version: str) -> Path:
    """A folder that ``fill`` fills; kept, and another ``version`` of what it does makes a new one."""
    return _made(f"{name}-{_digest([version])}", fill)


def unpack_arm64(root: Path, packages: Sequence[str]) -> None:
    """Debian 13 for arm64 with ``packages``, unpacked only: nothing of it has to run on this machine.

    There are no users, no alternatives and no caches, which packages make when they are configured. What
    is started by its path runs. Raises Offline where the archive cannot be reached.
    """
    options = ("--foreign", "--arch=arm64", "--variant=minbase", f"--include={','.join(packages)}")
    command = [*UNSEEN, "debootstrap", *options, "trixie", str(root)]
    checked(subprocess.run(command, capture_output=True, text=True))
    archives = root / "var/cache/apt/archives"
    for package in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(root)], check=True)
    shutil.rmtree(archives)


def run(
    root: Path,
    command: Sequence[str],
    mounts: Mapping[Path, str] | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 900,
    before: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` inside ``root``, with folders of the host shown read-only at the given paths.

    ``before``: a program of the host that starts it, such as ``unshare --net``.
    The environment is a clean one: settings of the host's pip or Python would break what runs inside.
    """
    inside = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        **{name: os.environ[name] for name in _PASSED if name in os.environ},
        **(environment or {}),
    }
    binds = [text for outer, inner in (mounts or {}).items() for text in (str(outer), inner)]
    variables = [f"{name}={value}" for name, value in inside.items()]
    return subprocess.run(
        [
            *before,
            *UNSEEN,
            "sh",
            "-c",
            _ENTER,
            "enter",
            str(root),
            *binds,
            "--",
            "env",
            "-i",
            *variables,
            *command,
        ],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def keep_modules(root: Path, names: Sequence[str]) -> None:
    """Of 100 MB of a kernel's modules those that ``names`` need, in an index of their own."""
    (modules,) = root.glob("usr/lib/modules/*")
    index = ["depmod", "--basedir", str(root), modules.name]
    subprocess.run(index, check=True)
    show = ["modprobe", "--dirname", str(root), "--set-version", modules.name, "--show-depends", "--all"]
    needed = subprocess.run([*show, *names], check=True, capture_output=True, text=True).stdout.split()
    used = {Path(word).resolve() for word in needed if "/kernel/" in word}
    for path in modules.glob("kernel/**/*.ko*"):
        if path.resolve() not in used:
            path.unlink()
    subprocess.run(index, check=True)


def archived(root: Path) -> bytes:
    """``root`` as the cpio archive that a kernel unpacks at its start."""
    names = b"\0".join(os.fsencode(path.relative_to(root)) for path in sorted(root.rglob("*")))
    command = ["cpio", "--create", "--null", "--format=newc", "--owner=0:0", "--quiet"]
    return subprocess.run(command, cwd=root, input=names, check=True, capture_output=True).stdout


def _bootstrap(root: Path) -> None:
    # debootstrap mounts /proc, and leaves it mounted when it is killed.
    options = ("--arch=amd64", "--variant=minbase", f"--include={','.join(BASE)}")
    done = subprocess.run(
        [*UNSEEN, "debootstrap", *options, "trixie", str(root)],
        capture_output=True,
        text=True,
    )
    checked(done)


def _made(name: str, fill: Callable[[Path], None]) -> Path:
    folder = Path(os.environ.get("EMOTION_EDGE_CACHE") or Path.home() / ".cache" / "emotion-edge-boards")
    folder.mkdir(parents=True, exist_ok=True)
    root, half = folder / name, folder / f"{name}.half"
    with _locked(folder / f"{name}.lock"):
        if not root.is_dir():
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(mode=0o755)
            fill(half)
            half.rename(root)
    return root


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back by the kernel, however this process ends
        yield


def checked(done: subprocess.CompletedProcess[str]) -> None:
    """Raise Offline or RuntimeError, with its words, where a command has failed."""
    if done.returncode == 0:
        return
    said = (done.stdout + done.stderr).strip()
    if any(sign in said for sign in _OFFLINE):
        raise Offline(said.splitlines()[-1])
    raise RuntimeError(f"{' '.join(map(str, done.args[-4:]))} failed:\n{said[-2000:]}")


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]

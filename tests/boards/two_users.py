"""Two real users of this machine, made for a test and removed afterwards, who can run the program.

Python and the sources may lie where only root gets, such as in /root. So each command has a mount namespace
of its own, in which they are bound to places that everybody can read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TOOLS = ("useradd", "userdel", "unshare", "setpriv", "mount")
_ENTER = """
set -e
folder=$1; shift
while [ "$1" != -- ]; do mount --bind "$1" "$folder/$2"; shift 2; done
shift
cd "$folder"
exec "$@"
"""


def why_not() -> str | None:
    """What is missing here to make users; None where nothing is."""
    if os.geteuid() != 0:
        return "making users needs root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    return "no mount namespaces here" if tried.returncode else None


@dataclass(frozen=True)
class User:
    """A user with an empty home, and the folder in which both users find Python."""

    uid: int
    home: Path
    folder: Path

    def python(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Python with the package and its libraries, as this user with a umask of 022."""
        bound = [sys.base_prefix, "python", sysconfig.get_path("purelib"), "site", str(ROOT), "source"]
        python = f"{self.folder}/python/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        known = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{self.folder}/source:{self.folder}/source/tests/boards:{self.folder}/site",
            "LD_LIBRARY_PATH": f"{self.folder}/python/lib",
        }  # fmt: skip
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", str(self.folder),
             *bound, "--", *become, python, "-s", *words],
            env={**known, **environ}, capture_output=True, text=True, timeout=300, umask=0o022,
        )  # fmt: skip


@contextmanager
def users(*names: str) -> Iterator[list[User]]:
    """Users with these names and a number; they, their files and their homes are removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="two-users-", dir="/tmp"))  # where all users get
    folder.chmod(0o755)
    made: list[str] = []
    try:
        for name in ("python", "site", "source"):
            (folder / name).mkdir()
        for name in (f"{name}-{os.getpid()}" for name in names):
            useradd = ["useradd", "--user-group", "--no-create-home", "--shell", "/bin/sh", name]
            subprocess.run(useradd, check=True, capture_output=True)
            made.append(name)
            entry = pwd.getpwnam(name)
            (folder / name).mkdir(mode=0o700)
            os.chown(folder / name, entry.pw_uid, entry.pw_gid)
        yield [User(pwd.getpwnam(name).pw_uid, folder / name, folder) for name in made]
    finally:
        for name in made:
            subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)

"""What the service's user can read: asked at install time, before a kiosk fails at its first boot."""

from __future__ import annotations

import grp
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from edge.capture.addresses import without_password
from edge.capture.sources import is_live
from edge.config import Config
from edge.deploy.units import groups
from edge.errors import ConfigError

_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # ProtectHome= and PrivateTmp=


def check(config: Config, config_file: Path | None, *program: Path) -> None:
    """ConfigError that names the first file or folder which the service could not read."""
    named = (config.bundle.path, config.detector.model, config.source.address)
    wanted = [*program, *([config_file] if config_file else []), *(Path(text) for text in named if text)]
    for path in wanted:
        if not path.is_absolute() or str(path).startswith("/dev/") or not path.exists():
            continue  # a camera, the demo, or a file that `run` will complain about
        for step in _way(path):
            if fault := _fault(step):
                raise ConfigError(
                    f"the service cannot read {path} ({fault}); put it where all users may read, as in /opt"
                )


def refuse_password(config: Config, arguments: Sequence[str]) -> None:
    """ConfigError where the password of a camera would stand on the command line, for all to see."""
    secret = _password(config.source.address)
    if any(without_password(word) != word or (secret and secret in word) for word in arguments):
        raise ConfigError(
            "a password on the command line can be read by all users of this machine; "
            "write source.address into a file and pass it with -c"
        )


def notes(config: Config, config_file: Path | None) -> Iterator[str]:
    """What is no fault, but worth a line."""
    if not is_live(config.source.address):
        yield f"the source {config.source.address} ends; the service then begins anew"
    address = config.source.address
    if config_file and without_password(address) != address and config_file.stat().st_mode & stat.S_IROTH:
        yield (
            f"all users can read the camera's password; chgrp video {config_file} && chmod 640 {config_file}"
        )


def _way(path: Path) -> Iterator[Path]:
    """``path``, what it links to, and every folder above both."""
    for end in {path, path.resolve()}:
        yield from (end, *end.parents)


def _fault(path: Path) -> str:
    """Why a user of no name and the camera's groups cannot use ``path``; empty where he can."""
    if str(path) in _HIDDEN:
        return f"{path} is hidden from services"
    about = path.stat()
    needed = stat.S_IXOTH if path.is_dir() else stat.S_IROTH
    if about.st_mode & needed or (about.st_gid in _gids() and about.st_mode & needed << 3):
        return ""
    return f"{path} has mode {stat.S_IMODE(about.st_mode):03o}"


def _gids() -> list[int]:
    return [grp.getgrnam(name).gr_gid for name in groups()]


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""

"""Checks at install time that the service can read its files, before a kiosk fails at its first boot."""

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


def check(config: Config, config_file: Path | None, *program: Path, hidden: Sequence[str] = _HIDDEN) -> None:
    """Raise ConfigError for the first file that the service could not read."""
    configured = (config.bundle.path, config.detector.model, config.source.address)
    paths = [*program, *([config_file] if config_file else []), *(Path(text) for text in configured if text)]
    for path in paths:
        if not path.is_absolute() or str(path).startswith("/dev/") or not path.exists():
            continue  # a camera, the demo, or a missing file that `run` will report
        for step in _with_parents(path):
            if fault := _fault(step, hidden):
                raise ConfigError(
                    f"the service cannot read {path} ({fault}); move it where all users can read, as in /opt"
                )


def refuse_password(config: Config, arguments: Sequence[str]) -> None:
    """Raise ConfigError if the command line would contain a camera's password."""
    secret = _password(config.source.address)
    if any(without_password(text) != text or (secret and secret in text) for text in arguments):
        raise ConfigError(
            "a password on the command line is visible to all users of this machine; "
            "set source.address in a file and pass that with -c"
        )


def notes(config: Config, config_file: Path | None) -> Iterator[str]:
    """Warnings that do not prevent an installation."""
    if not is_live(config.source.address):
        yield f"the source {config.source.address} ends; the service then starts over"
    address = config.source.address
    if config_file and without_password(address) != address and config_file.stat().st_mode & stat.S_IROTH:
        yield (
            f"all users can read the camera's password; chgrp video {config_file} && chmod 640 {config_file}"
        )


def _with_parents(path: Path) -> Iterator[Path]:
    """``path``, its link target, and every folder above both."""
    for end in {path, path.resolve()}:
        yield from (end, *end.parents)


def _fault(path: Path, hidden: Sequence[str]) -> str:
    """Why an unprivileged user in the camera groups cannot use ``path``; "" if it can."""
    if str(path) in hidden:
        return f"{path} is hidden from services"
    status = path.stat()
    needed = stat.S_IXOTH if path.is_dir() else stat.S_IROTH
    if status.st_mode & needed or (status.st_gid in _gids() and status.st_mode & needed << 3):
        return ""
    return f"{path} has mode {stat.S_IMODE(status.st_mode):03o}"


def _gids() -> list[int]:
    return [grp.getgrnam(name).gr_gid for name in groups()]


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""

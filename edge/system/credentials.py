"""Secrets that the service manager hands over: files in ``$CREDENTIALS_DIRECTORY``, see systemd.exec(5)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge.errors import ConfigError
from edge.system.checked_file import FileRefused, read_checked

_MOST_BYTES = 4096


def credential(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The secret ``name``, without an end of line; "" if there is none. ConfigError if it is no text."""
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / name
    if not folder or not path.exists():
        return ""
    try:
        return read_checked(path, _MOST_BYTES).decode("utf-8").rstrip("\r\n")
    except FileRefused as error:
        raise ConfigError(f"the credential {name} {error}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"the credential {name} is not text; write it again in UTF-8") from None

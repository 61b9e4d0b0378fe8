"""The exception hierarchy.

EdgeError             one line for the user and exit code 2
├── ConfigError       a wrong key, type or value in the configuration
├── BundleError       a bundle or data file that is missing, altered or malformed
├── SourceError       a camera or video that cannot be opened or read
├── DependencyError   an optional library that is not installed
└── RestartNeeded     a hang that only a restart of the process can clear; exit code 75
"""

from __future__ import annotations

import importlib
from types import ModuleType


class EdgeError(Exception):
    """An error the user can fix; the message names the fault, the value found and the fix."""

    exit_code = 2


class ConfigError(EdgeError):
    """A wrong key, type or value in the configuration."""


class BundleError(EdgeError):
    """A bundle or data file that is missing, altered or malformed."""


class SourceError(EdgeError):
    """A camera or video that cannot be opened or read."""


class DependencyError(EdgeError):
    """An optional library that is not installed."""


class RestartNeeded(EdgeError):
    """A hang that only a restart can clear; the command exits with 75 so that its supervisor restarts it."""

    exit_code = 75


class SinkClosed(Exception):
    """The reader of an output has closed the pipe (``emotion-edge run | head``): a normal end, not an error.

    The main loop catches it, closes everything and exits with 0.
    """


def reason(error: BaseException) -> str:
    """Why the system or a library failed, in one line without the number and path of an ``OSError``."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return told.splitlines()[0] if told else type(error).__name__


def require(module: str, hint: str) -> ModuleType:
    """Import an optional library, or raise a DependencyError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(f"{module} cannot be imported ({error}); install it: {hint}") from error

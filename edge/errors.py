"""The error tree.

EdgeError             one line for the user and exit code 2
├── ConfigError       a wrong key, type or value in the configuration
├── BundleError       a bundle or data file that is missing, altered or malformed
├── SourceError       a camera or video that cannot be opened or read
├── DependencyError   an optional library that is not installed
└── RestartNeeded     something that only a fresh start can mend; exit code 75
"""

from __future__ import annotations

import importlib
from types import ModuleType


class EdgeError(Exception):
    """A fault the user can mend; the message names the fault, the value found and the fix."""

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
    """Something hangs that only a fresh start can mend; the command ends with 75 for its supervisor."""

    exit_code = 75


class SinkClosed(Exception):
    """The reader of an output has gone (``emotion-edge run | head``): a normal end, not a fault.

    The main loop catches it, closes everything and exits with 0.
    """


def require(module: str, hint: str) -> ModuleType:
    """Import an optional library, or raise DependencyError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(f"{module} cannot be imported ({error}); install it: {hint}") from error

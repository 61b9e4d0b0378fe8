"""emotion-edge: from a camera to the apparent expression of each tracked face, one recurrent step at a time.

The names below are the public API. Each is imported on first use, which keeps ``import edge`` cheap.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge.version import __version__

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.bundle import load as load_bundle
    from edge.config import Config
    from edge.data import EmotionEstimate, Face, Frame
    from edge.errors import BundleError, ConfigError, DependencyError, EdgeError, RestartNeeded, SourceError
    from edge.events import EstimateEvent
    from edge.faces.square import face_square
    from edge.library import ExpressionTracker, Run, analyze, open

# ONNX Runtime 1.31 and later for Linux look up a telemetry host and keep an id of the device. They read this
# once, when they are imported; child processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_MODULES = {
    "analyze": "library", "open": "library", "ExpressionTracker": "library", "Run": "library",
    "Bundle": "bundle", "load_bundle": "bundle:load", "Config": "config", "face_square": "faces.square",
    "EmotionEstimate": "data", "Face": "data", "Frame": "data", "EstimateEvent": "events",
    "BundleError": "errors", "ConfigError": "errors", "DependencyError": "errors", "EdgeError": "errors",
    "RestartNeeded": "errors", "SourceError": "errors",
}  # fmt: skip

__all__ = [
    "Bundle",
    "BundleError",
    "Config",
    "ConfigError",
    "DependencyError",
    "EdgeError",
    "EmotionEstimate",
    "EstimateEvent",
    "ExpressionTracker",
    "Face",
    "Frame",
    "RestartNeeded",
    "Run",
    "SourceError",
    "__version__",
    "analyze",
    "face_square",
    "load_bundle",
    "open",
]


def __getattr__(name: str) -> Any:
    """Import a name of the public API on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'edge' has no attribute {name!r}")
    module, _, attribute = _MODULES[name].partition(":")
    value = getattr(import_module(f"edge.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

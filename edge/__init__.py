"""emotion-edge: one recurrent step per tracked face, from camera to apparent expression.

The names below are the library. Each is imported when it is first used, so that ``import edge`` costs next
to nothing.
"""

from __future__ import annotations

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

_PLACES = {
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
    """Import a name of the library when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'edge' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    value = getattr(import_module(f"edge.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

"""Every target of the fuzzing, by name."""

from __future__ import annotations

from fuzz.targets import files, golden, graph, health, manifest, marks, records, settings
from fuzz.targets.base import Target

TARGETS: dict[str, Target] = {
    module.TARGET.name: module.TARGET
    for module in (manifest, files, settings, golden, graph, records, health, marks)
}

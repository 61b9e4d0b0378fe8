"""What is known of the mutants of one seed: in a file, so that a run of hours can be stopped and goes on."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz.bundle_mutants import Mutant
from fuzz.judge import Judgment

ROOT = Path(__file__).parents[2]
SAVED_S = 5.0  # between two writings


class State:
    """What is known of the mutants of one seed; in a file, so that a later run goes on."""

    def __init__(self, path: Path, seed: int, afresh: bool) -> None:
        self._path, self._saved_s = path, time.monotonic()
        known = json.loads(path.read_text()) if path.is_file() and not afresh else {}
        self.sources = _sources()
        if known.get("sources") != self.sources:
            known = {}  # other mutants, or another program
        self.seed: int = seed
        self.next: int = known.get("next", 0)  # all below it are done
        self._ahead: set[int] = set(known.get("ahead", ()))
        self.outcomes: Counter[str] = Counter(known.get("outcomes", {}))
        self.kinds: Counter[str] = Counter(known.get("kinds", {}))
        self.examples: dict[str, str] = known.get("examples", {})
        self.faults: dict[str, str] = known.get("faults", {})
        self.worst_mb: int = known.get("worst_mb", 0)
        self.worst_s: float = known.get("worst_s", 0.0)
        self.spent_s: float = known.get("spent_s", 0.0)
        self.processor_s: float = known.get("processor_s", 0.0)

    @property
    def done(self) -> int:
        return self.next + len(self._ahead)

    def is_done(self, number: int) -> bool:
        return number < self.next or number in self._ahead

    def add(self, mutant: Mutant, judged: Judgment, processor_s: float) -> None:
        """Count one mutant, which took ``processor_s`` of a processor."""
        self.processor_s += processor_s
        self._ahead.add(mutant.number)
        while self.next in self._ahead:
            self._ahead.remove(self.next)
            self.next += 1
        self.outcomes[judged.outcome] += 1
        self.examples.setdefault(judged.outcome, judged.line)
        self.kinds[f"{mutant.base}, {mutant.kind}"] += 1
        self.worst_mb, self.worst_s = max(self.worst_mb, judged.peak_mb), max(self.worst_s, judged.took_s)
        if judged.fault:
            self.faults[str(mutant.number)] = judged.fault
            print(
                f"mutant {mutant.number}: {judged.fault}\n  {mutant}\n"
                f"  repeat: {again(self.seed, mutant.number)}",
                flush=True,
            )

    def save(self, now: bool = False) -> None:
        if now or time.monotonic() - self._saved_s >= SAVED_S:
            self._saved_s = time.monotonic()
            rows: dict[str, Any] = {
                key: value for key, value in vars(self).items() if not key.startswith("_")
            }
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps({**rows, "ahead": sorted(self._ahead)}))
            part.replace(self._path)


def _sources() -> str:
    """SHA-256 of the program and of what makes and judges mutants."""
    state = hashlib.sha256()
    for path in sorted([*(ROOT / "edge").rglob("*.py"), *Path(__file__).parent.rglob("*.py")]):
        state.update(path.read_bytes())
    return state.hexdigest()


def again(seed: int, number: int) -> str:
    """The command that repeats one mutant."""
    return (
        f"{sys.executable} {Path(__file__).resolve().with_name('mutants.py')} --seed {seed} --only {number}"
    )

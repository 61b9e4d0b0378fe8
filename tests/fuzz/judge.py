"""Runs one mutant of a bundle and judges it: refused in one line, or served within the limits and right."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import traced
from fuzz import forked
from fuzz.bundle_mutants import Mutant
from fuzz.bundles import outputs
from fuzz.forked import Ended
from fuzz.targets.base import MOST_TEXT, is_plain

from edge import bundle as bundles

ROOT = Path(__file__).parents[2]
MOST_S, MOST_MB, TRACED_S = 10.0, 300, 90.0
MIN_COSINE, MAX_LABEL_CHANGES = 0.999, 0.01
FAST = ("--set", "detector.every=1", "--set", "tracker.confirm=1", "--set", "detector.input_width=160")
# What refused, by words of its line; the first that fits.
REASONS = (
    ("kind of file", r"expected a regular file|cannot be read \(|expected the folder"),
    ("size of a file", r"bytes, at most|grows beyond"),
    ("hash", r"does not match its manifest"),
    ("tensors", r"in the graph"),
    ("manifest", r"manifest\.json|in the manifest|evaluation\.json"),
    ("detector", r"face_detection"),
    ("precision", r"no precision|int8-trt is for|cannot run"),
    ("time in the child", r"did not finish"),
    ("memory in the child", r"more memory than it may|bad_alloc|Failed to allocate|allocat"),
    ("crash in the child", r"killed by signal|ended with code"),
    ("no finite numbers", r"NaN or infinity"),
    ("other outputs", r"does not reproduce"),
    ("golden.npz", r"golden\.npz"),
    ("step", r"fails in a step"),
    ("ONNX Runtime", r"ONNXRuntimeError"),
    ("graph", r"no usable ONNX file"),
)


@dataclass(frozen=True)
class Judgment:
    """``outcome`` is "served" or "refused: ..."; ``fault`` is "" or what must not happen."""

    outcome: str
    fault: str
    took_s: float
    peak_mb: int
    line: str = ""  # the last one that was told


class Judge:
    """Runs mutants with ``clip`` as their source, in a folder that is emptied by the caller."""

    def __init__(self, clip: Path, jsonl: Path) -> None:
        self._clip, self._jsonl = clip, jsonl

    def fast(self, mutant: Mutant, folder: Path) -> Judgment:
        """In a forked child, on a short clip."""
        words = [*self._words(str(self._clip), mutant, folder), *FAST]
        return self._judged(
            mutant, folder, forked.program(words, folder.parent, MOST_S, self._environ(folder))
        )

    def whole(self, mutant: Mutant, folder: Path) -> Judgment:
        """The shipped program on its demo, with children and all."""
        words = [sys.executable, "-m", "edge", *self._words("demo", mutant, folder), "--max-frames", "28"]
        environ = {**os.environ, **self._environ(folder), "PYTHONPATH": str(ROOT)}

        def start() -> int:
            os.chdir(ROOT)
            os.execve(sys.executable, words, environ)

        return self._judged(mutant, folder, forked.run(start, folder.parent, MOST_S))

    def traced(self, mutant: Mutant, folder: Path) -> Judgment:
        """The shipped program under strace: it opens nothing but its own files and the bundle's."""
        log = folder.parent / "calls"
        ends = [
            "timeout",
            "--kill-after=1",
            f"{TRACED_S:g}",
        ]  # itself traced: what is killed does not go on alone
        words = [*ends, sys.executable, "-m", "edge", *self._words(str(self._clip), mutant, folder), *FAST]
        environ = {**os.environ, **self._environ(folder), "PYTHONPATH": str(ROOT)}
        process = traced.start(words, log, environ, ROOT)
        told, _ = process.communicate()
        judged = self._judged(mutant, folder, Ended(process.returncode, told, 0.0, 0))
        strange = sorted(_opened(log.read_text(errors="replace")) - _usual(folder.parent))
        fault = judged.fault or (f"it read {strange[:5]}" if strange else "")
        return Judgment(f"traced, {judged.outcome.partition(':')[0]}", fault, 0.0, 0, judged.line)

    def _words(self, source: str, mutant: Mutant, folder: Path) -> list[str]:
        bundle = ["--bundle", str(folder), "--precision", mutant.precision]
        return ["run", source, *bundle, "--jsonl", str(self._jsonl), "--force"]

    def _environ(self, folder: Path) -> dict[str, str]:
        return {"XDG_CACHE_HOME": str(folder.parent / "cache"), "ORT_DISABLE_TELEMETRY": "1"}

    def _judged(self, mutant: Mutant, folder: Path, ended: Ended) -> Judgment:
        outcome, faults = f"exit {ended.code}", []
        if ended.code is None:
            faults.append(f"still running after {MOST_S:g} s")
        elif ended.code == 2:
            outcome = "refused: " + _reason(ended.told)
        elif ended.code == 0:
            outcome = "served"
            faults += [*_lines(self._jsonl, folder), *_golden(mutant, folder)]
        else:
            faults.append(f"exit code {ended.code}: {ended.told[-1500:]}")
        faults += _told(ended)
        if ended.peak_mb > MOST_MB:
            faults.append(f"{ended.peak_mb} MB")
        line = (ended.told.strip().splitlines() or [""])[-1].removeprefix("emotion-edge: error: ")
        shown = line.replace(f"{folder}", "BUNDLE")[:200]
        return Judgment(outcome, "; ".join(faults), ended.took_s, ended.peak_mb, shown)


def _reason(told: str) -> str:
    line = told.strip().splitlines()[-1] if told.strip() else ""
    return next((name for name, words in REASONS if re.search(words, line)), "something else")


def _told(ended: Ended) -> Iterator[str]:
    """Faults of standard error: each line has to be ours, and one of them an error if it was refused."""
    lines = ended.told.splitlines()
    errors = [line for line in lines if line.startswith("emotion-edge: error: ")]
    if len(errors) != (ended.code == 2) and ended.code in (0, 2):
        yield f"{len(errors)} lines of errors with exit code {ended.code}: {ended.told[-1500:]}"
    for line in lines:
        if not line.startswith("emotion-edge: "):
            yield f"a line that nobody asked for: {line!a:.300}"
            break
        if not is_plain(line) or len(line) > MOST_TEXT:
            yield f"no plain line: {line!a:.300}"


def _lines(jsonl: Path, folder: Path) -> Iterator[str]:
    """Faults of the lines of a run that ended well."""
    labels = {*bundles.load(folder).labels, "uncertain"}
    for line in jsonl.read_text().splitlines() if jsonl.exists() else []:
        try:
            row = json.loads(line, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            yield f"a line that is no JSON: {line:.200}"
            return
        shares = row["probabilities"]
        values = list(shares.values()) if isinstance(shares, dict) else shares
        if not all(math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6 for value in values):
            yield f"probabilities {values}"
        if abs(sum(values) - 1) > 1e-3 or row["label"] not in labels:
            yield f"a line that cannot be: {line:.300}"


def _golden(mutant: Mutant, folder: Path) -> Iterator[str]:
    """Faults of the outputs of a network that was served, calculated again by ONNX Runtime alone."""
    wanted = "fp32" if mutant.precision == "auto" else mutant.precision

    def work() -> int:
        bundle = bundles.load(folder)
        if bundle.manifest.golden is None:
            return 0
        with np.load(folder / bundle.manifest.golden.path) as golden:
            crops, expected = golden["crops"], golden["logits"]
        found = outputs(bundle, wanted, crops).reshape(-1, expected.shape[-1]).astype(np.float64)
        right = expected.reshape(found.shape).astype(np.float64)
        cosine = (found * right).sum(1) / np.maximum(
            np.linalg.norm(found, axis=1) * np.linalg.norm(right, axis=1), 1e-12
        )
        changes = (found.argmax(1) != right.argmax(1)).mean()
        # A little room: other sums of the same numbers.
        return 0 if cosine.min() >= MIN_COSINE - 1e-4 and changes <= MAX_LABEL_CHANGES + 1e-9 else 3

    ended = forked.run(work, folder.parent, 3 * MOST_S)
    if ended.code == 3:
        yield "served although its outputs are not the golden ones"
    elif ended.code:
        yield f"served, but cannot be run again: {ended.told[-800:]}"


def _opened(log: str) -> set[str]:
    """Every path that was opened."""
    paths = set()
    for call in traced.calls(log):
        found = re.match(r"\d+<(.*)>", call.result)
        if call.name in traced.OPENS and found:
            paths.add(found[1])
    return paths - _BASELINE


_BASELINE: set[str] = set()


def learn(judge: Judge, mutant: Mutant, folder: Path) -> None:
    """Remember what a run of an unchanged bundle opens."""
    judge.traced(mutant, folder)
    _BASELINE.update(_opened((folder.parent / "calls").read_text(errors="replace")))


class _Below:
    """Paths below folders; ``-`` takes them out of a set of paths."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)

    def __rsub__(self, paths: set[str]) -> set[str]:
        return {path for path in paths if not path.startswith(self._folders)}


def _usual(scratch: Path) -> _Below:
    """What every run may read: interpreter, libraries, this project, the kernel's tables, its own folders."""
    own = [f"{scratch}/bundle/", f"{scratch}/bundle", f"{scratch}/cache", f"{scratch}/out"]
    return _Below([*own, *_libraries()])


@cache
def _libraries() -> tuple[str, ...]:
    places = [
        sys.prefix,
        sys.base_prefix,
        str(ROOT / "edge"),
        *(str(Path(path)) for path in sys.path if "-packages" in path),
    ]
    return (*(f"{os.path.realpath(place)}/" for place in places), "/usr/lib", "/lib", "/proc/", "/sys/",
    "/dev/null",
            "/dev/urandom", "/memfd:", "/dev/shm/sem.", str(ROOT))  # fmt: skip


def tally(outcomes: Counter[str], examples: Mapping[str, str]) -> str:
    """The outcomes, most frequent first, each with one of its lines."""
    rows = outcomes.most_common()
    return "\n".join(f"  {count:>8,}  {outcome}: {examples.get(outcome, '')}" for outcome, count in rows)

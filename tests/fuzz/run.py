"""Fuzzing of everything that is read and not believed: ``make test-fuzz``, an hour in all.

Each target runs in a process of its own, as many at a time as there are cores. It begins with the corpus in
the tests and what earlier runs have found, in the user's cache. No input may raise anything but the
documented errors, take more than 10 s or more than 400 MB. A fault is told with the command that repeats it,
and the run ends with 1. ``--keep`` adds to the corpus in the tests what covers more than it did.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "helpers"))

from fuzz.corpus import COMMITTED, in_memory, read_kept, write_kept
from fuzz.targets.base import Target
from fuzz.targets.table import TARGETS

from edge.system.cache import cache_folder

ROOT = Path(__file__).parents[2]
LIMIT_S, LIMIT_MB = 10, 400
MINUTES = 60.0


@dataclass(frozen=True)
class Outcome:
    """What one target's process did; ``fault`` is "" or what was found, with the command that repeats it."""

    name: str
    runs: int
    covered: int
    peak_mb: int
    took_s: float
    fault: str

    def __str__(self) -> str:
        rate = self.runs / max(self.took_s, 0.1)
        return (
            f"{self.name:<10} {self.runs:>9,} inputs, {rate:>6,.0f} a second, {self.covered:>5} edges, "
            f"{self.peak_mb} MB{': ' + self.fault if self.fault else ''}"
        )


def fuzz(
    target: Target, seconds: float, folder: Path, root: Path = ROOT, seed: int = 0, runs: int = 0
) -> Outcome:
    """Fuzz one target with the sources below ``root``; new inputs and faults stay in ``folder``.

    ``runs`` ends it after so many inputs, which are the same for the same ``seed`` and an empty folder.
    """
    corpus, seeds, faults = (folder / target.name / name for name in ("corpus", "seeds", "faults"))
    for path in (corpus, seeds, faults):
        path.mkdir(parents=True, exist_ok=True)
    for at, data in enumerate([*target.seeds(), *read_kept(target.name)]):
        (seeds / f"{at:04}").write_bytes(data)
    words = folder / target.name / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    options = [
        f"-max_total_time={max(1, round(seconds))}", f"-timeout={LIMIT_S}", f"-rss_limit_mb={LIMIT_MB}",
        f"-max_len={target.most_bytes}", f"-artifact_prefix={faults}/", "-print_final_stats=1",
        f"-seed={seed}", *([f"-runs={runs}"] if runs else []),
        "-mutate_depth=2",  # one fault hides another
        *([f"-dict={words}"] if target.words else []),
    ]  # fmt: skip
    script = root / "tests/fuzz/one.py"
    began_s = time.monotonic()
    with in_memory() as scratch:
        environ = {**os.environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": scratch, "FUZZ_SCRATCH": scratch}
        environ["PYTHONHASHSEED"] = "0"  # or the same inputs would take other ways
        told = subprocess.run(
            [sys.executable, str(script), target.name, *options, str(corpus), str(seeds)],
            env=environ, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    text = told.stdout.decode(errors="replace").replace("INFO: Instrumenting ", "")
    runs, peak = (
        _last(rf"stat::{name}:\s+(\d+)", text) for name in ("number_of_executed_units", "peak_rss_mb")
    )
    fault = _fault(target.name, script, text) if told.returncode else ""
    return Outcome(target.name, runs, _last(r"cov: (\d+)", text), peak, time.monotonic() - began_s, fault)


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _fault(name: str, script: Path, text: str) -> str:
    raised = re.search(r"=== Uncaught Python exception: ===\n(.*?)\n(?:==\d+==|INFO: )", text, re.DOTALL)
    written = re.findall(r"Test unit written to (\S+)", text)
    again = f"; repeat: {sys.executable} {script} {name} {written[-1]}" if written else ""
    stopped = re.search(r"libFuzzer: (timeout|out-of-memory|deadly signal).*", text)
    what = raised[1] if raised else stopped[0] if stopped else text[-2000:]
    return f"{what.strip()}{again}"


def main() -> int:
    """Fuzz all targets or those that are named; 1 if a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)"
    )
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="for all of them together (default: %(default)g)"
    )
    parser.add_argument("--runs", type=int, default=0, help="end after so many inputs each, always the same")
    parser.add_argument("--keep", action="store_true", help="add what covers more to the corpus in the tests")
    asked = parser.parse_args()
    chosen = [TARGETS[name] for name in asked.targets or TARGETS]
    jobs = min(len(chosen), len(os.sched_getaffinity(0)))
    seconds = 60 * asked.minutes * jobs / len(chosen)
    seed, fresh = (1, tempfile.mkdtemp(prefix="fuzz-")) if asked.runs else (int(time.time()), "")
    folder = Path(fresh) if fresh else cache_folder() / "fuzz"
    print(
        f"{len(chosen)} targets, {seconds:.0f} s each, {jobs} at a time; what is found stays in {folder}",
        flush=True,
    )
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = []
        for outcome in pool.map(
            lambda target: fuzz(target, seconds, folder, seed=seed, runs=asked.runs), chosen
        ):
            print(outcome, flush=True)
            outcomes.append(outcome)
    if asked.keep:
        for target in chosen:
            write_kept(target, folder / target.name / "corpus")
        print(f"kept in {COMMITTED}")
    faults = [outcome for outcome in outcomes if outcome.fault]
    if fresh and not faults:
        shutil.rmtree(fresh)
    print(f"{sum(outcome.runs for outcome in outcomes):,} inputs, {len(faults)} targets with a fault")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())

"""Seeded mutants of whole bundles: ``make test-mutants``, 100,000 or what fits into two hours.

Mutant i of a seed is always the same: bits and fields of the manifest, of the networks, of golden.npz, files
that are pipes, links or too large, with all hashes made right. Each is run as `emotion-edge run` runs it. It
is refused in one line with code 2, or served within the limits, with finite lines and the golden outputs.
Most run in forked children (see ``fuzz.forked``), one in a hundred as the shipped program, one in a thousand
under strace: nothing is read outside the bundle, the libraries and the program's own cache.

A run goes on where the last one of the same seed and sources has ended; ``--afresh`` begins again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "helpers"))

from fuzz import bundle_mutants, bundles, clips, forked, judge
from fuzz.bundle_mutants import Mutant
from fuzz.judge import Judge, Judgment
from fuzz.mutant_state import State, again

from edge.system.cache import cache_folder

COUNT, HOURS, SEED = 100_000, 2.0, 24
WHOLE_EVERY, TRACED_EVERY = 100, 1000


@contextmanager
def workshop() -> Iterator[tuple[dict[str, Path], Path, Path]]:
    """The bundles to make mutants of, a clip of faces, and a folder in memory for everything."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="mutants-", dir=memory if memory.is_dir() else None))
    try:
        forked.preload()
        (folder / "originals").mkdir()
        names = folder / "originals" / "names"

        def work() -> int:
            made = bundles.make_all(folder / "originals")
            clips.faces(folder / "faces.mp4")
            names.write_text(json.dumps({name: str(path) for name, path in made.items()}))
            return 0

        ended = forked.run(work, folder, 120)
        assert ended.code == 0, ended.told
        yield (
            {name: Path(path) for name, path in json.loads(names.read_text()).items()},
            folder / "faces.mp4",
            folder,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one(
    number: int, seed: int, originals: dict[str, Path], clip: Path, scratch: Path
) -> tuple[Mutant, Judgment]:
    """Make and judge one mutant below ``scratch``, which is empty again afterwards."""
    _empty(scratch)
    mutant = bundle_mutants.make(number, seed, originals, scratch / "bundle")
    judges = Judge(clip, scratch / "out.jsonl")
    if number % TRACED_EVERY == TRACED_EVERY - 1 and judge.traced.strace():
        way = judges.traced
    else:
        way = judges.whole if number % WHOLE_EVERY == WHOLE_EVERY - 1 else judges.fast
    judged = way(mutant, scratch / "bundle")
    if judged.took_s >= judge.MOST_S:  # other programs may have had the processors: once more
        shutil.rmtree(scratch / "cache", ignore_errors=True)
        judged = way(mutant, scratch / "bundle")
    return mutant, judged


def _empty(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "cache").mkdir(mode=0o700, parents=True)


def _sound(count: int, originals: dict[str, Path], clip: Path, scratch: Path) -> None:
    """The unchanged bundles are served with lines, or the mutants would prove nothing."""
    for name, path in originals.items():
        for way in ("fast", "whole") if count >= WHOLE_EVERY else ("fast",):
            _empty(scratch)
            bundles.copy(path, scratch / "bundle")
            mutant = Mutant(-1, name, ("none",), "fp32")
            judged = getattr(Judge(clip, scratch / "out.jsonl"), way)(mutant, scratch / "bundle")
            assert (judged.outcome, judged.fault) == ("served", ""), f"{name}, {way}: {judged}"
            assert (scratch / "out.jsonl").read_text().count("\n") >= 2, f"{name}, {way}: no lines"
    if count >= TRACED_EVERY and judge.traced.strace():
        _empty(scratch)
        bundles.copy(originals["recurrent"], scratch / "bundle")
        judge.learn(
            Judge(clip, scratch / "out.jsonl"), Mutant(-1, "recurrent", ("none",), "fp32"), scratch / "bundle"
        )


def run(count: int, hours: float, state: State, jobs: int) -> None:
    """Judge mutants until ``count`` are done or the time is up; RuntimeError if a worker has died."""
    end_s = time.monotonic() + 3600 * hours
    with workshop() as (originals, clip, folder):
        _sound(count, originals, clip, folder / "sound")
        context = multiprocessing.get_context("fork")
        numbers, results = context.Value("q", state.next), context.SimpleQueue()

        def work(scratch: Path) -> None:
            resource.setrlimit(resource.RLIMIT_AS, (forked.MEMORY_BYTES, forked.MEMORY_BYTES))
            while time.monotonic() < end_s:
                with numbers.get_lock():
                    while state.is_done(numbers.value):
                        numbers.value += 1
                    number, numbers.value = numbers.value, numbers.value + 1
                if number >= count:
                    break
                before_s = sum(os.times()[:4])  # of this process and its children
                mutant, judged = one(number, state.seed, originals, clip, scratch)
                results.put((mutant, judged, sum(os.times()[:4]) - before_s))

        paths = [folder / f"worker{at}" for at in range(jobs)]
        workers = [context.Process(target=work, args=(path,), daemon=True) for path in paths]
        for worker in workers:
            worker.start()
        _collect(workers, results, state, count)
        if any(worker.exitcode for worker in workers):
            raise RuntimeError(f"a worker has died: {[worker.exitcode for worker in workers]}")


def _collect(workers: Sequence[Any], results: Any, state: State, count: int) -> None:
    """Count what the workers find until all have ended, and say how far they are."""
    began_s, before_s, told_s = time.monotonic(), state.spent_s, time.monotonic()
    while True:
        working = any(worker.is_alive() for worker in workers)
        if results.empty():
            if not working:
                break
            time.sleep(0.01)
            continue
        state.add(*results.get())
        state.spent_s = before_s + time.monotonic() - began_s
        state.save()
        if time.monotonic() - told_s > 60:
            told_s = time.monotonic()
            print(f"{state.done:,} of {count:,}, {state.done / state.spent_s:.1f} a second", flush=True)
    state.save(now=True)


def repeat(number: int, seed: int) -> int:
    """Judge one mutant, show what happened, and leave its bundle to look at."""
    with workshop() as (originals, clip, folder):
        _sound(number + 1, originals, clip, folder / "sound")
        mutant, judged = one(number, seed, originals, clip, folder / "worker")
        kept = Path(tempfile.mkdtemp(prefix=f"mutant-{number}-")) / "bundle"
        shutil.copytree(folder / "worker" / "bundle", kept, symlinks=True, copy_function=_copied)
        print(mutant, judged, f"its bundle: {kept}", sep="\n")
        return bool(judged.fault)


def _copied(source: str, target: str) -> None:
    if os.path.isfile(source):  # pipes and sockets stay behind
        shutil.copy2(source, target)


def main() -> int:
    """Judge mutants; 1 if one of this seed has failed, now or in an earlier run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=COUNT, help="default: %(default)s")
    parser.add_argument("--hours", type=float, default=HOURS, help="at most; default: %(default)g")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="default: the cores")
    parser.add_argument(
        "--state", type=Path, help="file that remembers what is done (default: in the user's cache)"
    )
    parser.add_argument("--afresh", action="store_true", help="forget earlier runs")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="repeat one mutant")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the folder in memory is removed then, too
    if asked.only is not None:
        return repeat(asked.only, asked.seed)
    path = asked.state or cache_folder() / "mutants" / f"{asked.seed}.json"
    state = State(path, asked.seed, asked.afresh)
    run(asked.count, asked.hours, state, asked.jobs)
    rate, each_ms = state.done / max(state.spent_s, 0.1), 1e3 * state.processor_s / max(state.done, 1)
    print(
        f"seed {asked.seed}: {state.done:,} mutants, {rate:.1f} a second, {each_ms:.0f} ms of a core each, "
        f"most {state.worst_mb} MB and {state.worst_s:.1f} s"
    )
    print(judge.tally(state.outcomes, state.examples))
    for number in state.faults:
        print(f"fault: mutant {number}; repeat: {again(asked.seed, int(number))}")
    print(f"{len(state.faults)} of them with a fault")
    return bool(state.faults)


if __name__ == "__main__":
    sys.exit(main())

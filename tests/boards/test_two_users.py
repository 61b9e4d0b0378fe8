"""A second user of the machine who may write in /tmp and in a shared cache changes nothing about what runs.

Both are real users. The second one plants all that the cache may hold, right in every field, in the places
that are open; the first one then runs as if nobody were there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import two_users
from two_users import User

from edge import bundle as bundles

pytestmark = pytest.mark.boards

INSIDE = str(Path("source/tests/boards/inside_two_users.py"))
NOTE = "is not used as a cache"
# Modes of the folder that XDG_CACHE_HOME names and of the one in it, and who made the latter. Where that is
# closed, nothing can be planted, in whatever way.
SHARED = {
    "like /tmp": (0o1777, 0o700, "first"),
    "like /tmp, made by the other": (0o1777, 0o777, "stranger"),
    "like /tmp, open within": (0o1777, 0o777, "first"),
    "open": (0o777, 0o700, "first"),
    "open, open within": (0o777, 0o777, "first"),
    "open to the group": (0o777, 0o775, "first"),
}


@dataclass(frozen=True)
class Place:
    """Two users, a right bundle, one whose fp16 disagrees with golden.npz, and a file of the first user's."""

    first: User
    stranger: User
    right: Path
    wrong: Path
    precious: Path

    def look(self, user: User, cache: Path) -> dict[str, Any]:
        return json.loads(self._inside(user, cache, "look", str(self.right)))

    def plant(self, cache: Path, way: str) -> int:
        """How many files the stranger could leave there."""
        found = [self._inside(self.stranger, cache, "plant", str(b), way) for b in (self.right, self.wrong)]
        return sum(map(int, found))

    def _inside(self, user: User, cache: Path, *words: str) -> str:
        done = user.python(INSIDE, *words, XDG_CACHE_HOME=str(cache), PRECIOUS=str(self.precious))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, user: User, cache: Path) -> tuple[list[Any], list[str]]:
        """Codes and lines of two runs, without what depends on the time; and notes about the cache."""
        kept: list[Any] = []
        notes: list[str] = []
        for bundle, precision in ((self.wrong, "fp16"), (self.right, "auto")):
            words = ["--bundle", str(bundle), "--precision", precision, "--jsonl", "-", "--max-frames", "5"]
            done = user.python("-m", "edge", "run", "demo", *words, XDG_CACHE_HOME=str(cache))
            lines = done.stderr.splitlines()
            notes += [line for line in lines if NOTE in line]
            said = [re.sub(r"in \S+ s \(\S+ per second\)", "", line) for line in lines if NOTE not in line]
            kept.append((done.returncode, said, done.stdout.count("\n")))
        return kept, notes


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    if reason := two_users.why_not():
        pytest.skip(reason)
    with two_users.users("ee-first", "ee-stranger") as (first, stranger):
        right, wrong = first.folder / "right", first.folder / "wrong"
        for folder in (right, wrong):
            shutil.copytree(bundles.REFERENCE, folder)
        _disagree(wrong)
        precious = first.home / "precious"
        precious.write_text("of the first user")
        os.chown(precious, first.uid, first.uid)
        yield Place(first, stranger, right, wrong, precious)


def _disagree(folder: Path) -> None:
    """Turn the golden logits of a bundle round, with its hash made right."""
    golden, manifest = folder / "golden.npz", folder / "manifest.json"
    arrays = dict(np.load(golden))
    np.savez(golden, **{**arrays, "logits": -arrays["logits"]})
    document = json.loads(manifest.read_text())
    document["golden"]["sha256"] = sha256(golden.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(document))


@pytest.fixture(scope="module")
def alone(place: Place) -> tuple[dict[str, Any], list[Any]]:
    """What the first user's program believes and does where nobody else can write."""
    cache = place.first.home / "cache"
    believed, (ran, notes) = place.look(place.first, cache), place.run(place.first, cache)
    assert not notes
    assert believed["wanted"] == ["onnxruntime", "fp32", 1]
    assert [code for code, *_ in ran] == [2, 0], "the wrong network is refused"
    assert "does not reproduce golden.npz" in ran[0][1][-1]
    return believed, ran


def shared(place: Place, kind: str) -> tuple[Path, Path]:
    """A folder for XDG_CACHE_HOME that both use, and ours in it."""
    mode, inner, maker = SHARED[kind]
    cache = place.first.folder / "shared"
    shutil.rmtree(cache, ignore_errors=True)
    (cache / "emotion-edge").mkdir(parents=True)
    owner = place.first if maker == "first" else place.stranger
    os.chown(cache / "emotion-edge", owner.uid, owner.uid)
    (cache / "emotion-edge").chmod(inner)
    cache.chmod(mode)
    return cache, cache / "emotion-edge"


CASES = [
    (kind, way)
    for kind, (_, inner, _) in SHARED.items()
    for way in (["file", "link", "pipe", "folder"] if inner & 0o002 else ["file"])
]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_the_first_users_run_is_as_if_nobody_were_there(place: Place, alone, kind: str, way: str) -> None:
    cache, ours = shared(place, kind)
    count = place.plant(cache, way)
    open_to_stranger = ours.stat().st_mode & 0o002 != 0
    assert bool(count) == open_to_stranger, "the test plants where it can"
    believed, ran = alone
    assert place.look(place.first, cache) == believed
    repeated, notes = place.run(place.first, cache)
    assert repeated == ran
    trusted = not ours.stat().st_mode & 0o022 and ours.stat().st_uid == place.first.uid
    assert len(notes) == (0 if trusted else 2), "one line in each run"
    assert all("chmod 700" in note or "set XDG_CACHE_HOME" in note for note in notes)
    assert place.precious.read_text() == "of the first user"


@pytest.mark.parametrize("way", ["file", "link"])
def test_what_was_planted_before_the_folder_was_closed_is_not_believed(place: Place, alone, way: str) -> None:
    cache, ours = shared(place, "open, open within")
    assert place.plant(cache, way) > 10
    ours.chmod(0o700)
    believed, ran = alone
    assert place.look(place.first, cache) == believed
    assert place.run(place.first, cache)[0] == ran
    assert place.precious.read_text() == "of the first user"


def test_a_folder_that_was_exchanged_is_not_believed(place: Place, alone) -> None:
    """In an open folder the stranger moves ours away, and makes another one, or a link."""
    believed, ran = alone
    for target in (None, place.stranger.home / "cache", place.first.home):
        cache, ours = shared(place, "open")
        shutil.rmtree(ours)
        if target:
            if target == place.stranger.home / "cache":
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir()
                target.chmod(0o777)
            ours.symlink_to(target)
            os.lchown(ours, place.stranger.uid, place.stranger.uid)
        place.plant(cache, "file")
        before = {path: path.stat().st_mtime_ns for path in place.first.home.iterdir()}
        assert place.look(place.first, cache) == believed
        assert place.run(place.first, cache)[0] == ran
        assert {path: path.stat().st_mtime_ns for path in place.first.home.iterdir()} == before


def test_root_believes_no_cache_of_a_user_for_whom_it_runs(place: Place, alone) -> None:
    """As ``sudo`` that keeps HOME: the user's own cache, with all that is right for the user."""
    cache, ours = shared(place, "like /tmp, made by the other")
    ours.chmod(0o700)
    assert place.plant(cache, "file") > 10
    for path in ours.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    theirs = place.look(place.stranger, cache)
    assert theirs["wanted"] == ["onnxruntime", "fp16", 2], "what is planted would be believed"
    assert len(theirs["passed"]) > 2
    assert (theirs["plan"], theirs["timings"], theirs["restarts"]["count"]) == (True, 7, 7)
    before = sorted(ours.rglob("*"))
    root = replace(place.stranger, uid=0)
    believed, ran = alone
    assert place.look(root, cache) == believed
    assert place.run(root, cache)[0] == ran
    assert sorted(ours.rglob("*")) == before, "root writes nothing there"

"""Faults planted on purpose in readers, one at a time: fuzzing must find each.

``make test-fuzz-planted``. Each is a small change to a copy of the sources; its target then has a minute to
find it from the corpus in the tests. One that is not found says that the target is too weak. A change that no
longer fits the sources fails, so that the list stays true.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "helpers"))

from fuzz.run import fuzz
from fuzz.targets.table import TARGETS

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


@dataclass(frozen=True)
class Planted:
    """``old`` occurs once in ``file`` and is replaced by ``new``."""

    name: str
    target: str
    file: str
    old: str
    new: str

    def plant(self, root: Path) -> None:
        """Change the copy of the sources below ``root``; ValueError if they have changed meanwhile."""
        path = root / self.file
        text = path.read_text("utf-8")
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.name}: {self.file} contains {self.old!r} {text.count(self.old)} times, expected once"
            )
        path.write_text(text.replace(self.old, self.new), "utf-8")


_SCHEMA, _JSON, _FILES = (
    "edge/system/json_schema.py",
    "edge/system/strict_json.py",
    "edge/system/checked_file.py",
)
FAULTS = (
    Planted("a key may occur twice", "manifest", _JSON, "if len(result) < len(pairs):", "if False:"),
    Planted("NaN is a number", "manifest", _JSON, "parse_constant=_refuse", "parse_constant=float"),
    Planted(
        "no bound of depth", "manifest", _JSON,
        "    _check(value, depth)\n", "    _check(value, 10**9)\n",
    ),
    Planted(
        "a line break at the end of a name", "manifest", _SCHEMA,
        're.fullmatch(schema["pattern"].strip("^$"), value)', 're.search(schema["pattern"], value)',
    ),
    Planted(
        "a label may occur twice", "manifest", _SCHEMA,
        'if schema.get("uniqueItems") and (', "if False and (",
    ),
    Planted(
        "two states of one name", "manifest", "edge/manifest.py",
        "if names.count(name) > 1", "if not names",
    ),
    Planted(
        "links are followed", "files", "edge/bundle.py",
        "hash_checked(path, self._most_bytes(entry))", "hash_checked(path, self._most_bytes(entry), True)",
    ),
    Planted("no bound of size", "files", _FILES, "if status.st_size > most_bytes:", "if False:"),
    Planted(
        "the hash is compared to nothing", "files", "edge/bundle.py",
        "if digest != expected:", "if not digest:",
    ),
    Planted(
        "what is parsed is not hashed again", "files", "edge/bundle.py",
        "        _compare(path, hashlib.sha256(content).hexdigest(), entry.sha256)\n", "",
    ),
    Planted(
        "NaN is within every bound", "settings", "edge/config_file.py",
        "not low <= value <= high", "(value < low or value > high)",
    ),
    Planted(
        "golden logits may be NaN", "golden", "edge/engines/golden.py",
        "if not (np.abs(rows.astype(np.float64)) < _LARGEST).all():", "if False:",
    ),
    Planted(
        "any size of golden crops", "golden", "edge/engines/golden.py",
        " or shape[2:] != crop:", ":",
    ),
    Planted(
        "data in another file", "graph", "edge/engines/graph_file.py",
        "if part.number == 13 or (part", "if (False and part",
    ),
    Planted(
        "a network may branch", "graph", "edge/engines/graph_check.py",
        "if node.operator in _REFUSED:", "if False:",
    ),
    Planted(
        "others may write a record", "records", "edge/system/ownership.py",
        "if status.st_mode & _OTHERS_WRITE and not closed:", "if False:",
    ),
    Planted(
        "any number of threads", "records", "edge/engines/records.py",
        '"maximum": 256}', '"maximum": 10**6}',
    ),
    Planted(
        "a record of another key", "records", "edge/engines/records.py",
        '"key": {"enum": [key]}', '"key": {}',
    ),
)  # fmt: skip


def find(planted: Planted, seconds: float) -> tuple[float, str]:
    """Seconds until the fault was found, and its first line; "" if it was not."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("edge", "tests/fuzz", "tests/helpers"):
            shutil.copytree(
                ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.onnx")
            )
        planted.plant(root)
        outcome = fuzz(TARGETS[planted.target], seconds, root / "found", root, seed=1)
    return outcome.took_s, outcome.fault.partition("\n")[0]


def main() -> int:
    """Plant each fault, or those whose names contain a word; 1 if one was not found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="of the names of some faults (default: all)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each; default: %(default)g")
    asked = parser.parse_args()
    chosen = [
        planted for planted in FAULTS if not asked.words or any(word in planted.name for word in asked.words)
    ]
    missed = 0
    for planted in chosen:
        took_s, fault = find(planted, asked.seconds)
        missed += not fault
        print(
            f"{planted.target:<9} {planted.name}: {f'{took_s:.0f} s: {fault:.90}' if fault else 'NOT FOUND'}",
            flush=True,
        )
    print(f"{len(chosen) - missed} of {len(chosen)} planted faults were found")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())

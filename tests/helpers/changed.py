"""The tests of what differs from the last commit: ``pytest $(python tests/helpers/changed.py)``.

Tests mirror the source: ``edge/faces/crop.py`` has ``tests/faces/test_crop.py`` and, where one file would
be too long, ``tests/faces/test_crop_SUBJECT.py``; or else all of that folder.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ALWAYS = ["tests/test_imports.py", "tests/test_layers.py", "tests/cli/test_config.py"]
ROOT = Path(__file__).parents[2]


def tests_of(path: Path) -> list[Path]:
    """The test files of one changed file, relative to the repository."""
    if path.parts[0] == "tests":
        return [path] if path.name.startswith("test_") else []
    if path.suffix == ".md":
        return _within(Path("tests/docs"))
    if path.suffix != ".py":
        return []
    folder = Path("tests", *path.parts[1 if path.parts[0] == "edge" else 0 : -1])
    own = [*_within(folder, f"test_{path.stem}.py"), *_within(folder, f"test_{path.stem}_*.py")]
    if own or folder == Path("tests"):
        return own
    return _within(folder)


def _within(folder: Path, names: str = "test_*.py") -> list[Path]:
    return [path.relative_to(ROOT) for path in sorted((ROOT / folder).glob(names))]


if __name__ == "__main__":
    command = ["git", "status", "--porcelain", "--untracked-files=all", "--no-renames"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    changed = [test for line in lines for test in tests_of(Path(line[3:])) if (ROOT / test).is_file()]
    print(*ALWAYS, *dict.fromkeys(str(test) for test in changed))

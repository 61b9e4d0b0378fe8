"""Each place where something comes in is known, and what stands before it is said."""

from __future__ import annotations

from fnmatch import fnmatchcase

import boundaries
import pytest

FILES = boundaries.found()


def test_every_call_stands_in_the_table() -> None:
    rows = boundaries.table().splitlines()[2:]
    assert not [row for row in rows if row.endswith("| ? |")], "say it in tests/helpers/boundaries.txt"
    assert (boundaries.ROOT / "docs" / "security.md").read_text("utf-8").count(boundaries.table()) == 1, (
        "make docs"
    )


@pytest.mark.parametrize(("pattern", "said"), boundaries.entries())
def test_every_word_speaks_of_a_file_that_is_there(pattern: str, said: str) -> None:
    files = [file for file in FILES if fnmatchcase(file, pattern)]
    assert files, "none of such a name takes anything in"
    first = {
        file: next(known for known, _ in boundaries.entries() if fnmatchcase(file, known)) for file in files
    }
    assert pattern in first.values(), "earlier patterns take all of its files"
    assert said


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("open(path)", "open"), ("path.open('rb')", "open"), ("os.open(path, 0)", "os.open"),
        ("x.eval()", ""),
        ("av.open(file)", "av.open"), ("np.load(path)", "np.load"), ("json.loads(text)", "json.loads"),
        ("subprocess.run(['x'])", "subprocess.run"), ("cv2.imread(name)", "cv2.imread"), ("eval(x)", "eval"),
        ("socket.create_connection(x)", "create_connection"), ("ctypes.CDLL('x')", "ctypes.CDLL"),
        ("urllib.request.urlopen(x)", "urlopen"),
        ("self._open(x)", ""), ("a.read_bytes()", "read_bytes"), ("connection.recv(9)", "recv"),
    ],
)  # fmt: skip
def test_a_new_call_is_seen(line: str, found: str, tmp_path) -> None:
    (tmp_path / "a.py").write_text(f"def f():\n    return [{line}]\n")
    assert dict(boundaries._calls(tmp_path / "a.py")) == ({found: 1} if found else {})

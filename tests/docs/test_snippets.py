"""Blocks of Python, settings and JSON in the documents do what stands beside them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from documents import PAGES, ROOT, Block, blocks, prose

import edge
from edge.__main__ import main
from edge.capture.demo import DemoSource
from edge.config_file import Reader, read_toml
from edge.deploy.kit import secret_file
from edge.errors import EdgeError, RestartNeeded
from edge.events import EstimateEvent

LIBRARY, OUTPUTS = ROOT / "docs" / "library.md", ROOT / "docs" / "outputs.md"
PYTHON = [block for page in PAGES for block in blocks(page, "python")]
TOML = [block for page in PAGES for block in blocks(page, "toml")]
HAAR = {"detector.kind": "haar"}


def title(block: Block) -> str:
    """Name of the file that a block shows, from the comment in its first line."""
    found = re.match(r"# (\S+\.toml)\n", block.text)
    return Path(found[1]).name if found else ""


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@dataclass
class Detections:
    """The signature of supervision.Detections 0.31.2, compared by hand."""

    xyxy: Any
    mask: Any = None
    confidence: Any = None
    class_id: Any = None
    tracker_id: Any = None
    data: Any = None
    metadata: Any = None

    def __post_init__(self) -> None:
        """What the real one checks: shapes that fit together."""
        n = len(self.xyxy)
        assert self.xyxy.shape == (n, 4)
        assert all(values.shape == (n,) for values in (self.confidence, self.class_id, self.tracker_id))


@pytest.fixture(scope="module")
def smiling() -> list[np.ndarray]:
    """Two seconds of the demo with one face, from the time when it is in full sight."""
    return [frame.image for frame in DemoSource().frames() if 32 <= frame.index < 62]


def test_the_library_page_runs_block_by_block(smiling: list[np.ndarray], capsys) -> None:
    estimates = edge.analyze(smiling[-1], settings=HAAR)
    assert estimates
    supervision = type(sys)("supervision")
    supervision.Detections = Detections
    names = {
        "pictures": lambda: [np.rot90(image).copy() for image in smiling],
        "picture": smiling[-1],
        "estimates": estimates,
        "numpy": np,
        "supervision": supervision,
    }
    *snippets, sink = blocks(LIBRARY, "python")
    printed = []
    for block in snippets:
        exec(compile(block.text, str(block), "exec"), names)
        printed.append(capsys.readouterr().out)
    whole, loop, _, still, _ = printed
    assert whole.count("happiness") > 50
    assert "happiness" in loop, "the picture was turned upright"
    assert "'still': True" in still
    with edge.ExpressionTracker(settings=HAAR) as tracker:
        boxes = [estimates[0].box_xyxy]
        assert names["update"](tracker, smiling[0], boxes) == []
        assert len(names["update"](tracker, smiling[1], boxes)) == 1
    assert (len(names["detections"].xyxy), names["detections"].mask) == (1, None)
    empty = {**names, "estimates": []}
    exec(snippets[-1].text, empty)
    assert empty["detections"].xyxy.shape == (0, 4), "a frame without a face, too"
    assert "PART" in sink.text


def test_an_output_of_another_package_is_found(tmp_path: Path, monkeypatch) -> None:
    """The page's module and entry point, as a package that is installed has them; and the page's command."""
    (tmp_path / "my_package.py").write_text(blocks(LIBRARY, "python")[-1].text)
    about = tmp_path / "my_package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    (written,) = (block.text for block in blocks(LIBRARY, "text") if "entry-points" in block.text)
    (tmp_path / "pyproject.toml").write_text(written)
    ((group, rows),) = read_toml(tmp_path / "pyproject.toml")["project"]["entry-points"].items()
    lines = [f"{name} = {place}" for name, place in rows.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"`emotion-edge (run SOURCE --set output\S+)`", prose(LIBRARY))
    words = [*command.replace("SOURCE", "demo").split(), "--max-frames", "60", "--set", "detector.kind=haar"]
    assert main(words) == 0
    assert int((tmp_path / "count.txt").read_text()) > 10


def test_the_reader_of_lines_skips_half_a_line(tmp_path: Path) -> None:
    path, names = tmp_path / "out.jsonl", {}
    words = ["run", "demo", "--max-frames", "60", "--set", "detector.kind=haar", "--jsonl", str(path)]
    assert main(words) == 0
    (block,) = blocks(OUTPUTS, "python")
    exec(block.text, names)
    lines = path.read_text().splitlines()
    rows = list(names["estimates"]([lines[0][:40], *lines]))
    assert 0 < len(rows) < len(lines)
    assert all(row["fresh"] and row["warm"] for row in rows)


def test_the_line_of_json_has_the_fields_of_the_record() -> None:
    (block,) = blocks(OUTPUTS, "json")
    line = json.loads(block.text)
    known = {field.name for field in fields(EstimateEvent)}
    assert set(line) == {"schema", *known} - {"utc", "utc_sure", "still", "labels", "values"}
    assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert set(line["probabilities"]) == set(edge.load_bundle().labels)
    assert set(table("A line of JSON")) == {"schema", *known}


def test_the_table_of_health_has_every_field() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found: dict[str, Any] = {}
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.05):
            with (
                contextlib.suppress(OSError),
                urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer,
            ):
                found.update(json.load(answer))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        assert main(["run", "demo", "--max-frames", "60", "--health", str(port)]) == 0
    finally:
        over.set()
        asker.join()
    assert set(found) | {"age_s"} == set(table("Health")), "age_s is of cameras alone"


def test_the_table_of_exit_codes_is_right() -> None:
    assert {str(EdgeError.exit_code), str(RestartNeeded.exit_code), "0", "1", "130"} == set(
        table("Exit codes")
    )


def table(heading: str) -> list[str]:
    """The first column of the table under a heading of outputs.md, its code marks taken off."""
    part = re.split(rf"^#+ {heading}$", prose(OUTPUTS), flags=re.MULTILINE)[1]
    rows = re.search(r"\|---.*\n((?:\|.*\n)+)", part)[1]
    return [name.strip("` ") for row in rows.splitlines() for name in row.split("|")[1].split(",")]


@pytest.mark.parametrize("block", TOML, ids=str)
def test_settings_are_read(block: Block, tmp_path: Path) -> None:
    path = tmp_path / (title(block) or "settings.toml")
    path.write_text(block.text)
    if path.name == "gate.toml":
        pytest.importorskip("torch")
        from export.int8 import gate

        assert gate.read_budgets(path) == gate.Budgets(), "the page calls them the defaults"
    elif path.name == "export.toml":
        assert {"labels", "normalize", "step_hz", "window", "parts"} == set(read_toml(path))
    elif path.name == "secrets.toml":
        path.chmod(0o600)
        assert secret_file.read(path)
    else:
        Reader().file(path)

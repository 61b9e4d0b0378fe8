"""The runtime imports on a bare machine, and the import arrows point one way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKED = [
    *["torch", "onnx", "onnxscript", "export", "calibration"],
    *["av", "onnxruntime", "tensorrt", "pycuda", "cuda", "picamera2", "libcamera", "gi"],
    *["skimage", "matplotlib"],
]

IMPORT_ALL = """
import importlib, pkgutil, sys, traceback

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked by this test")

BLOCKED = set(sys.argv[1:])
before = set(sys.modules)  # cuda-bindings starts with Python itself
sys.meta_path.insert(0, Block())

import edge

def fail(name):
    traceback.print_exc()
    failed.append(name)

failed, names = [], ["edge"]
for module in pkgutil.walk_packages(edge.__path__, "edge.", onerror=fail):
    names.append(module.name)
    try:
        importlib.import_module(module.name)
    except BaseException:
        fail(module.name)
loaded = sorted(BLOCKED & set(sys.modules) - before)
print("\\n".join(names))
sys.exit(f"cannot be imported: {failed}; loaded: {loaded}" if failed or loaded else 0)
"""


def test_every_module_of_edge_imports_without_optional_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *BLOCKED], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    files = {module_name(path) for path in (ROOT / "edge").rglob("*.py")}
    missed = files - set(done.stdout.split())
    assert not missed, f"not reached by the walk, an __init__.py is missing: {sorted(missed)}"


def test_a_run_imports_no_part_that_it_does_not_use() -> None:
    """Each would cost every start time and memory."""
    unused = [
        *[
            f"edge.capture.{name}"
            for name in ("demo", "files", "gstreamer.source", "images", "picamera.source")
        ],
        *["edge.capture.reconnect.subprocess_source", "edge.faces.haar"],
        *[f"edge.engines.tensorrt.{name}" for name in ("engine", "plans", "hot_swap")],
        *[
            "edge.sinks.trajectory",
            "edge.sinks.video",
            "http.server",
            "multiprocessing",
            "importlib.metadata",
        ],
    ]
    script = "import sys, edge.cli.program, edge.service; print(*(set(sys.argv[1:]) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script, *unused], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split()


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("edge", {"calibration", "export", "benchmarks", "torch", "onnx", "onnxscript"}),
        ("calibration", {"export", "benchmarks"}),
        ("export", {"benchmarks"}),
    ],
)
def test_import_arrows(package: str, forbidden: set[str]) -> None:
    backwards = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in imported(path)
        if name.partition(".")[0] in forbidden
    ]
    assert not backwards, "export -> calibration -> edge, never backwards:\n" + "\n".join(backwards)


def test_onnxruntime_has_one_door() -> None:
    """``import edge`` switches its telemetry off; a module that imported it by itself could come before."""
    others = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in ("edge", "calibration", "export", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        for line, name in imported(path)
        if name.partition(".")[0] == "onnxruntime"
    ]
    assert not others, f"use edge.system.ort_session.onnxruntime(): {others}"


def test_telemetry_is_off_once_edge_is_imported() -> None:
    """Whatever the environment says: a program that must not send cannot be made to by a leftover."""
    script = "import edge, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for before in ({}, {"ORT_DISABLE_TELEMETRY": "0"}):
        environ = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"} | before
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.stdout == "1\n", done.stderr


def test_no_file_bears_the_name_of_a_library() -> None:
    """``edge/engines/tensorrt.py`` would one day be imported instead of the library."""
    libraries = {*BLOCKED, "cv2", "numpy", "scipy", *sys.stdlib_module_names} - {"export", "calibration"}
    named = [
        str(path.relative_to(ROOT))
        for package in ("edge", "calibration", "export", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        if not path.stem.startswith("__") and path.stem in libraries
    ]
    assert not named, f"named as a library: {named}"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> list[tuple[int, str]]:
    """Line and full name of each import statement, those inside functions too."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.lineno, node.module or ""))
    return found

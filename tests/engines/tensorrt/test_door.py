"""The door to the CUDA driver: which library is taken, what is said without one, and the real ones at work.

The real libraries run on tests/helpers/cuda_driver.c, a driver whose GPU is host memory: their names,
arguments and statuses are proven that way, not the kernels, the streams and the memory of a GPU.
"""

from __future__ import annotations

import gc
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import stand_in

from edge.engines import _cuda
from edge.errors import DependencyError

ROOT = Path(__file__).resolve().parents[3]


def test_pycuda_comes_first(monkeypatch) -> None:
    names = ("pycuda", "pycuda.driver", "cuda", "cuda.bindings", "cuda.bindings.driver")
    modules = {name: ModuleType(name) for name in names}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert _cuda.driver() is modules["pycuda.driver"]
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.delitem(sys.modules, "pycuda.driver")
    found = _cuda.driver()
    assert isinstance(found, _cuda.Bindings)
    assert found._api is modules["cuda.bindings.driver"]


def test_one_that_is_broken_gives_way(monkeypatch, tmp_path: Path) -> None:
    """pycuda for another NumPy, or one that finds no driver, fails while it is imported."""
    (tmp_path / "broken_driver.py").write_text("raise ImportError('numpy.core.multiarray failed\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_cuda, "LIBRARIES", {"broken_driver": id, "types": lambda module: module})
    assert _cuda.driver().__name__ == "types"
    monkeypatch.setattr(_cuda, "LIBRARIES", {"broken_driver": id, "no_such_driver": id})
    with pytest.raises(DependencyError) as raised:
        _cuda.driver()
    text = str(raised.value)
    assert "\n" not in text
    assert "(broken_driver: numpy.core.multiarray failed; no no_such_driver)" in text
    assert "pip install 'cuda-bindings" in text
    assert "kit make --add-wheel" in text


@pytest.mark.parametrize(
    "name",
    ["init", "Device", "Stream", "mem_alloc", "pagelocked_empty", "module_from_buffer"]
    + [f"memcpy_{way}{kind}" for way in ("htod", "dtoh") for kind in ("", "_async")],
)
def test_the_bindings_are_asked_as_pycuda_is(name: str) -> None:
    """The stand-in for pycuda and what stands for it on cuda-bindings take the same arguments."""
    ours, pycudas = (getattr(kind, name) for kind in (_cuda.Bindings, stand_in.Gpu))
    assert len(inspect.signature(ours).parameters) == len(inspect.signature(pycudas).parameters)


def test_pycudas_destructor_of_a_primary_context_never_runs() -> None:
    gpu = stand_in.Gpu()
    for kept in (False, True):
        context = gpu.Device(0).retain_primary_context()
        if kept:
            _cuda.keep(context)
        del context
        gc.collect()
        assert gpu.destroyed == 1, "only the first one, which nobody kept"


def test_of_our_own_context_nothing_is_kept() -> None:
    """It is released with the last reference, as the driver wants it."""
    context = SimpleNamespace(push=print, pop=print)
    before = sys.getrefcount(context)
    _cuda.keep(context)
    assert sys.getrefcount(context) == before


def test_a_driver_without_a_call_is_a_fault_of_one_line() -> None:
    """cuda-bindings raises RuntimeError for a driver that is missing, or that is too old for a call."""

    def cuInit(flags: int) -> None:
        raise RuntimeError('Function "cuInit" not found')

    with pytest.raises(_cuda.DriverError, match="not found"):
        _cuda.Bindings(SimpleNamespace(cuInit=cuInit)).init()


def test_only_contiguous_arrays_are_copied() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        _cuda.Bindings(SimpleNamespace()).memcpy_htod(4096, np.zeros((4, 4), np.float32)[:, :2])


@pytest.fixture(scope="module")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a libcuda.so.1 made of tests/helpers/cuda_driver.c lies."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("the driver is written in C, and there is no gcc")
    folder = tmp_path_factory.mktemp("driver")
    source = ROOT / "tests/helpers/cuda_driver.c"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]
    done = subprocess.run(
        [compiler, *flags, "-o", folder / "libcuda.so.1", source, "-ldl"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("library", list(_cuda.LIBRARIES))
def test_the_real_library_on_a_driver_of_host_memory(library: str, driver_folder: Path) -> None:
    """All that test_gpu.py asks of a GPU: rows, pinned buffers, graphs, faults, and that nothing is left."""
    environ = {
        **os.environ,
        "GPU_OF_HOST_MEMORY": "1",
        "LD_LIBRARY_PATH": str(driver_folder),  # read when a process starts, so it is one of its own
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    found = [sys.executable, "-c", f"import sys; sys.setdlopenflags({os.RTLD_LAZY}); import {library}"]
    if b"ModuleNotFoundError" in subprocess.run(found, env=environ, capture_output=True).stderr:
        pytest.skip(f"{library} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", library]
    tests = Path(__file__).with_name("test_gpu.py")
    done = subprocess.run(
        [*command, tests], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout, done.stdout
    assert "7 passed" in done.stdout

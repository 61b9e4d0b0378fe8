"""Device memory on a real NVIDIA GPU, with a small kernel in the engine's place, through both libraries.

Needs a GPU and pycuda or cuda-bindings, not TensorRT: `pytest -m gpu`. Everywhere else these tests skip, but
test_door.py runs them on a driver of host memory.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not (os.path.exists("/dev/nvidiactl") or "GPU_OF_HOST_MEMORY" in os.environ),
        reason="no NVIDIA GPU on this machine",
    ),
]

# new_state_h[row,c] = logits[row,c] = state_h[row,c] + face[row,0]; grid (1, rows), two threads.
STEP_PTX = b"""
.version 6.3
.target sm_75
.address_size 64
.visible .entry step(.param .u64 face, .param .u64 state, .param .u64 logits, .param .u64 fresh)
{
  .reg .b32 %row, %thread, %at, %cell;
  .reg .b64 %face, %state, %logits, %fresh, %offset;
  .reg .f32 %a, %b;
  ld.param.u64 %face, [face];
  ld.param.u64 %state, [state];
  ld.param.u64 %logits, [logits];
  ld.param.u64 %fresh, [fresh];
  cvta.to.global.u64 %face, %face;
  cvta.to.global.u64 %state, %state;
  cvta.to.global.u64 %logits, %logits;
  cvta.to.global.u64 %fresh, %fresh;
  mov.u32 %row, %ctaid.y;
  mov.u32 %thread, %tid.x;
  mul.wide.u32 %offset, %row, 16;
  add.u64 %face, %face, %offset;
  ld.global.f32 %a, [%face];
  mad.lo.u32 %cell, %row, 2, %thread;
  mul.wide.u32 %offset, %cell, 4;
  add.u64 %state, %state, %offset;
  add.u64 %logits, %logits, %offset;
  add.u64 %fresh, %fresh, %offset;
  ld.global.f32 %b, [%state];
  add.f32 %b, %b, %a;
  st.global.f32 [%logits], %b;
  st.global.f32 [%fresh], %b;
  ret;
}
"""
FACES = 4
SHAPES = {"face": (1, 2, 2), "state_h": (2,), "logits": (2,), "new_state_h": (2,)}


@pytest.fixture(params=["pycuda.driver", "cuda.bindings.driver"])
def library(request, monkeypatch) -> None:
    """One of the two is found by the door."""
    from edge.engines import _cuda

    if "GPU_OF_HOST_MEMORY" in os.environ:
        sys.setdlopenflags(os.RTLD_LAZY)  # that driver has only the calls that are made
    try:
        importlib.import_module(request.param)
    except ImportError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(_cuda, "LIBRARIES", {request.param: _cuda.LIBRARIES[request.param]})


@pytest.fixture
def device(library):
    from edge.engines.tensorrt.memory import Device

    made = Device()
    yield made
    made.close()


def _driver():
    from edge.engines._cuda import driver_library

    return driver_library()


def test_rows_go_where_their_slots_say(device) -> None:
    from edge.engines.tensorrt.memory import StateTable

    rng = np.random.default_rng(1)
    for width in (1, 2, 96, 127, 128, 129, 1536):
        table = StateTable(device, (width,), 32)
        values = rng.standard_normal((32, width)).astype(np.float32)
        rows = [table.upload(value) for value in values]
        order = rng.permutation(32)[:8]
        slots, batch = device.pinned((8,), np.uint32), device.pinned((8, width), np.float32)
        slots[:] = [rows[k].slot for k in order]
        slot_memory, batch_memory = device.memory(32), device.memory(batch.nbytes)
        device.copy_in(slot_memory, slots)
        device.gather(batch_memory, table.memory, slot_memory, 8, width)
        device.copy_out(batch, batch_memory)
        device.wait()
        assert np.array_equal(batch, values[order])
        batch += 1
        device.copy_in(batch_memory, batch)
        device.scatter(batch_memory, table.memory, slot_memory, 8, width)
        for k in range(32):
            wanted = values[k] + (1 if k in order else 0)
            assert np.array_equal(np.asarray(rows[k]), wanted.astype(np.float32))


def test_memory_is_given_back(device) -> None:
    from edge.engines.tensorrt.memory import StateTable

    def free() -> int:
        sizes = (ctypes.c_size_t * 2)()
        assert _driver().cuMemGetInfo_v2(ctypes.byref(sizes), ctypes.byref(sizes, 8)) == 0
        return sizes[0]

    before = free()
    for _ in range(200):
        StateTable(device, (1 << 20,), 4)
        device.pinned((1 << 20,), np.float32)
    assert free() >= before - (64 << 20)


def test_what_outlives_the_engine_is_given_back(library) -> None:
    """A track holds rows of an engine that was replaced."""
    from edge.engines._cuda import Bindings
    from edge.engines.tensorrt.memory import Device, StateTable

    device = Device()
    ours = isinstance(device._cuda, Bindings)
    table = StateTable(device, (8,), 4)
    row, pinned = table.upload(np.ones(8, np.float32)), device.pinned((4,), np.float32)
    kept = pinned[1:3]
    device.close()
    del device, pinned, table
    gc.collect()
    kept[:] = 1.0  # still there
    del row, kept
    gc.collect()
    if "GPU_OF_HOST_MEMORY" in os.environ:
        assert _driver().cuda_driver_left() == 0
        assert _driver().cuda_driver_detached() == 0, "a primary context is released, not detached"
        assert _driver().cuda_driver_depth() == 0
        assert ours is (_driver().cuda_driver_contexts() == 0), "pycuda's stays as long as the process"


def test_a_fault_is_one_line_with_its_reason(device) -> None:
    from edge.errors import EdgeError

    with (
        pytest.raises(EdgeError, match=r"^the GPU cannot make room \(.*out of memory.*\)$"),
        device.faults("make room"),
    ):
        device.memory(1 << 45)


def test_a_recording_repeats_the_work_and_refuses_what_it_cannot_hold(device) -> None:
    from edge.engines.tensorrt.graph import Graph
    from edge.errors import EdgeError

    host, memory = device.pinned((16,), np.float32), device.memory(64)
    back = device.pinned((16,), np.float32)

    def work() -> None:
        device.copy_in(memory, host)
        device.copy_out(back, memory)

    graph = Graph(device.stream.handle, work)
    for value in (1.0, 2.0):
        host[:] = value
        graph.launch()
        device.wait()
        assert (back == value).all()
    graph.close()

    def waits() -> None:
        with device.faults("wait"):
            device.wait()

    with pytest.raises(EdgeError):
        Graph(device.stream.handle, waits)
    work()  # the stream is not lost
    device.wait()
    assert (back == 2.0).all()


def test_the_engine_around_a_small_kernel(small_engine) -> None:
    """State rows of faces that come and go, more than the engine holds, graphs from the second step on."""
    rng = np.random.default_rng(2)
    held: dict[int, object] = {}
    sums: dict[int, np.ndarray] = {}
    for _ in range(60):
        present = rng.permutation(9)[: rng.integers(1, 9)]
        faces = rng.standard_normal((len(present), 1, 2, 2)).astype(np.float32)
        rows = [held.get(int(k), np.zeros(2, np.float32)) for k in present]
        out = small_engine.run({"face": faces, "state_h": rows})
        for at, k in enumerate(present):
            held[int(k)] = out["new_state_h"][at]
            sums[int(k)] = sums.get(int(k), np.zeros(2, np.float32)) + faces[at, 0, 0, 0]
            np.testing.assert_allclose(out["logits"][at], sums[int(k)], atol=1e-5)
    for k, row in held.items():
        np.testing.assert_allclose(np.asarray(row), sums[k], atol=1e-5)
    assert all(step._graph for step in small_engine._steps.values() if step._runs > 1)


def test_figures_of_one_step(small_engine, capsys) -> None:
    """Medians over 500 steps of four faces, for the record: as a graph, call by call, state over the host."""
    faces, rows = np.zeros((4, 1, 2, 2), np.float32), [np.zeros(2, np.float32)] * 4

    def median_us(over_the_host: bool) -> float:
        state, taken = rows, []
        for _ in range(500):
            started = time.perf_counter()
            out = small_engine.run({"face": faces, "state_h": state})["new_state_h"]
            state = list(np.asarray(out)) if over_the_host else list(out)
            taken.append(time.perf_counter() - started)
        return 1e6 * statistics.median(taken[10:])

    graph, host = median_us(False), median_us(True)
    step = small_engine._steps[4]
    recorded, step._graph, step._runs = step._graph, None, 2
    calls = median_us(False)
    step._graph = recorded
    with capsys.disabled():
        print(f"\nstep of 4 faces, us: graph {graph:.0f}, calls {calls:.0f}, state over the host {host:.0f}")
    assert min(graph, calls, host) > 0


@pytest.fixture
def small_engine(monkeypatch, tmp_path: Path, library):
    import stand_in

    from edge.bundle import StateTensor
    from edge.engines import _cuda
    from edge.engines.tensorrt import engine as trt

    one = _cuda.driver()  # for the engine and its kernel
    monkeypatch.setattr(_cuda, "driver", lambda: one)
    made = stand_in.Tensorrt(None)
    monkeypatch.setattr(trt, "library", lambda: made)
    monkeypatch.setattr(stand_in, "ICudaEngine", SmallEngine)
    plan = tmp_path / "small.plan"
    plan.write_bytes(b"a kernel")
    with trt.TrtEngine(plan, (StateTensor("state_h", "new_state_h", (2,)),)) as engine:
        SmallContext.stream = engine._device.stream  # both launch on their own objects only
        yield engine


class SmallEngine:
    """An engine of the stand-in whose only layer is the kernel above, on the real GPU."""

    num_io_tensors = len(SHAPES)

    def __init__(self, trt, model: bytes) -> None:
        from edge.engines import _cuda

        self.dtype = trt.dtype
        self.module = _cuda.driver().module_from_buffer(STEP_PTX)
        self.kernel = self.module.get_function("step")

    def get_tensor_name(self, index: int) -> str:
        return list(SHAPES)[index]

    def get_tensor_mode(self, name: str):
        import stand_in

        return stand_in.TensorIOMode.INPUT if name in ("face", "state_h") else stand_in.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str):
        return (-1, *SHAPES[name])

    def get_tensor_dtype(self, name: str):
        return self.dtype

    def get_tensor_profile_shape(self, name: str, profile_index: int):
        return [(size, *SHAPES[name]) for size in (1, 1, FACES)]

    def create_execution_context(self):
        return SmallContext(self.kernel)


class SmallContext:
    stream = None

    def __init__(self, kernel) -> None:
        self._kernel, self._addresses, self._rows = kernel, {}, 0

    def set_input_shape(self, name: str, shape: tuple) -> bool:
        self._rows = shape[0]
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = np.uintp(memory)
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == self.stream.handle
        self._kernel(
            *(self._addresses[name] for name in SHAPES),
            block=(2, 1, 1),
            grid=(1, self._rows),
            stream=self.stream,
        )
        return True

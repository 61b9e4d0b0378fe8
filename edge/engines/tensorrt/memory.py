"""Device memory of the TensorRT engine, through pycuda: pinned buffers, state rows, CUDA graphs.

State rows never come back to the host between two steps. Each state tensor has one table on the device; a
``Row`` owns one slot of it and gives the slot back when nobody holds the row any more, so a track that
dies frees its memory by itself. Two kernels copy rows between the table and the batch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.data import Float32
from edge.errors import EdgeError, require

HINT = "build its wheel once on the board: pip wheel pycuda -w wheels, then pip install wheels/pycuda*.whl"
_THREADS = 128
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL

# PTX, because a board that only runs has no nvcc; the driver compiles it for its own GPU. In C:
#     out[row * width + column] = table[slots[row] * width + column]     (gather; scatter: the other way)
_KERNEL = """
.visible .entry {name}(.param .u64 batch, .param .u64 table, .param .u64 slots, .param .u32 width)
{{
  .reg .pred %outside;
  .reg .b32 %width, %row, %column, %slot, %threads, %thread, %from, %to, %value;
  .reg .b64 %batch, %table, %slots, %offset;
  ld.param.u64 %batch, [batch];
  ld.param.u64 %table, [table];
  ld.param.u64 %slots, [slots];
  ld.param.u32 %width, [width];
  cvta.to.global.u64 %batch, %batch;
  cvta.to.global.u64 %table, %table;
  cvta.to.global.u64 %slots, %slots;
  mov.u32 %column, %ctaid.x;
  mov.u32 %threads, %ntid.x;
  mov.u32 %thread, %tid.x;
  mad.lo.u32 %column, %column, %threads, %thread;
  setp.ge.u32 %outside, %column, %width;
  @%outside ret;
  mov.u32 %row, %ctaid.y;
  mul.wide.u32 %offset, %row, 4;
  add.u64 %slots, %slots, %offset;
  ld.global.u32 %slot, [%slots];
  mad.lo.u32 %from, %slot, %width, %column;
  mul.wide.u32 %offset, %from, 4;
  add.u64 %table, %table, %offset;
  mad.lo.u32 %to, %row, %width, %column;
  mul.wide.u32 %offset, %to, 4;
  add.u64 %batch, %batch, %offset;
  ld.global.u32 %value, [%{source}];
  st.global.u32 [%{target}], %value;
  ret;
}}
"""
PTX = (
    ".version 6.3\n.target sm_75\n.address_size 64\n"  # the oldest GPU that TensorRT 10 knows
    + _KERNEL.format(name="gather", source="table", target="batch")
    + _KERNEL.format(name="scatter", source="batch", target="table")
)


def driver_library() -> Any:
    """The driver itself, for the calls that pycuda does not have."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EdgeError("no NVIDIA driver on this machine (libcuda.so.1)") from error


class Device:
    """The first GPU's primary context, which ONNX Runtime shares, and one stream.

    Belongs to the thread that makes it. EdgeError without pycuda or a GPU, and where a call fails.
    """

    def __init__(self) -> None:
        self._cuda = require("pycuda.driver", HINT)
        with self.faults("start the GPU"):
            self._cuda.init()
            self._context = self._cuda.Device(0).retain_primary_context()
            self._context.push()
            try:
                self.stream = self._cuda.Stream()
                self._kernels = self._cuda.module_from_buffer(PTX.encode())
                self._gather, self._scatter = (self._kernels.get_function(n) for n in ("gather", "scatter"))
            except BaseException:
                self.close()  # pycuda ends the process where a context is left on its stack
                raise

    @contextmanager
    def faults(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into one line."""
        try:
            yield
        except self._cuda.Error as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EdgeError(f"the GPU cannot {doing} ({reason})") from error

    def memory(self, size: int) -> Any:
        """``size`` bytes on the device, freed with the last reference."""
        return self._cuda.mem_alloc(max(size, 4))

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A host array that the device reads and writes without a copy in between."""
        return np.asarray(self._cuda.pagelocked_empty(shape, dtype))

    def copy_in(self, device: Any, host: npt.NDArray[Any]) -> None:
        """From a pinned array, in the order of the stream."""
        self._cuda.memcpy_htod_async(device, host, self.stream)

    def copy_out(self, host: npt.NDArray[Any], device: Any) -> None:
        """To a pinned array, in the order of the stream."""
        self._cuda.memcpy_dtoh_async(host, device, self.stream)

    def gather(self, batch: Any, table: Any, slots: Any, rows: int, width: int) -> None:
        """``batch[row] = table[slots[row]]`` for rows of ``width`` float32."""
        self._launch(self._gather, batch, table, slots, rows, width)

    def scatter(self, batch: Any, table: Any, slots: Any, rows: int, width: int) -> None:
        """``table[slots[row]] = batch[row]`` for rows of ``width`` float32."""
        self._launch(self._scatter, batch, table, slots, rows, width)

    def _launch(self, kernel: Any, batch: Any, table: Any, slots: Any, rows: int, width: int) -> None:
        grid = ((width + _THREADS - 1) // _THREADS, rows)
        kernel(batch, table, slots, np.uint32(width), block=(_THREADS, 1, 1), grid=grid, stream=self.stream)

    def wait(self) -> None:
        """Until all that was asked of the stream is done."""
        self.stream.synchronize()

    def write(self, address: int, host: npt.NDArray[Any]) -> None:
        """Copy a host array to ``address``; returns when it is there."""
        with self.faults("take state rows"):
            self.wait()
            self._cuda.memcpy_htod(address, host)

    def read(self, host: npt.NDArray[Any], address: int) -> None:
        """Copy from ``address`` to a host array; returns when it is here."""
        with self.faults("give state rows"):
            self.wait()
            self._cuda.memcpy_dtoh(host, address)

    def close(self) -> None:
        """Leave the context; what was allocated goes with its last reference."""
        self._context.pop()


class StateTable:
    """``capacity`` rows of one state tensor, shape (D...) float32, on the device."""

    def __init__(self, device: Device, shape: tuple[int, ...], capacity: int) -> None:
        self.shape = shape
        self.width = int(np.prod(shape))
        self.memory = device.memory(4 * self.width * capacity)
        self.free = list(range(capacity))
        self._device, self._capacity = device, capacity

    def claim(self) -> Row:
        """A row of its own; EdgeError where all are in use."""
        if not self.free:
            raise EdgeError(f"more than {self._capacity} state rows are in use; hold fewer faces at once")
        return Row(self, self.free.pop())

    def upload(self, values: Float32) -> Row:
        """A row with ``values`` (D...) from the host."""
        row = self.claim()
        self._device.write(self._address(row), np.ascontiguousarray(values, np.float32))
        return row

    def download(self, row: Row) -> Float32:
        """The values (D...) of ``row`` on the host."""
        values = np.empty(self.shape, np.float32)
        self._device.read(values, self._address(row))
        return values

    def _address(self, row: Row) -> int:
        return int(self.memory) + 4 * self.width * row.slot


class Row:
    """One state row on the device, opaque to the runtime; reads as a host array (D...) where one is asked."""

    __slots__ = ("slot", "table")

    def __init__(self, table: StateTable, slot: int) -> None:
        self.table, self.slot = table, slot

    def __del__(self) -> None:
        self.table.free.append(self.slot)

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self.table.download(self), dtype)


class Rows(Sequence[Row]):
    """The state rows (N,D...) of one step; reads as a host array where one is asked."""

    def __init__(self, rows: Sequence[Row], shape: tuple[int, ...]) -> None:
        self._rows = list(rows)
        self.shape = (len(rows), *shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        return self._rows[at]

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray[Any]:
        values = (
            np.stack([np.asarray(row) for row in self._rows])
            if self._rows
            else np.empty(self.shape, np.float32)
        )
        return np.asarray(values, dtype)


class Graph:
    """Work of one stream recorded once and launched as a whole (CUDA driver API, graph management)."""

    def __init__(self, stream: int, work: Callable[[], None]) -> None:
        """Record what ``work`` asks of ``stream``; EdgeError where something in it cannot be recorded."""
        self._driver, self._stream = driver_library(), ctypes.c_void_p(stream)
        self._graph, self._ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_THREAD_LOCAL))
        try:
            work()
        except BaseException:
            with suppress(EdgeError):
                self._end_capture()  # a stream that stays in capture mode would be lost
            raise
        self._end_capture()
        try:
            flags = ctypes.c_ulonglong(0)
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(self._ready), self._graph, flags)
        except EdgeError:
            self._call("cuGraphDestroy", self._graph)
            raise

    def _end_capture(self) -> None:
        self._call("cuStreamEndCapture", self._stream, ctypes.byref(self._graph))

    def launch(self) -> None:
        """Do the recorded work, in the order of the stream."""
        self._call("cuGraphLaunch", self._ready, self._stream)

    def close(self) -> None:
        """Free the recording."""
        self._call("cuGraphExecDestroy", self._ready)
        self._call("cuGraphDestroy", self._graph)

    def _call(self, name: str, *values: Any) -> None:
        try:
            status = getattr(self._driver, name)(*values)
        except AttributeError as error:
            raise EdgeError(f"this driver has no {name}") from error
        if status:
            raise EdgeError(f"{name} ended with CUDA error {status}")

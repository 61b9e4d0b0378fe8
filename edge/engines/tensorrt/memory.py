"""Device memory of the TensorRT engine, through ``_cuda``: pinned buffers and state rows.

State rows stay on the device between two steps. Each state tensor has one table there. A ``Row`` owns one
slot of it and frees the slot when the row is no longer referenced. So the memory of a track is freed with the
track. Two kernels copy rows between the table and the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.data import Float32
from edge.engines import _cuda
from edge.errors import EdgeError
from edge.system.cache import keep_in_cache

_THREADS = 128

# PTX, because a board without the CUDA toolkit has no nvcc; the driver compiles it for its GPU. In C:
#     out[row * width + column] = table[slots[row] * width + column]     (gather; scatter is the reverse)
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
    ".version 6.3\n.target sm_75\n.address_size 64\n"  # the oldest GPU that TensorRT 10 supports
    + _KERNEL.format(name="gather", source="table", target="batch")
    + _KERNEL.format(name="scatter", source="batch", target="table")
)


class Device:
    """The first GPU's primary context, which ONNX Runtime shares, and one stream.

    Use it only in the thread that created it. EdgeError without a library for it or without a GPU, and if a
    call fails.
    """

    def __init__(self) -> None:
        keep_in_cache("CUDA_CACHE_PATH", "cuda")  # of the kernels that the driver compiles
        self._cuda = _cuda.driver()
        with self.faults("start the GPU"):
            self._cuda.init()
            self._context = self._cuda.Device(0).retain_primary_context()
            _cuda.keep(self._context)
            self._context.push()
            try:
                self.stream = self._cuda.Stream()
                self._kernels = self._cuda.module_from_buffer(PTX.encode())
                self._gather, self._scatter = (self._kernels.get_function(n) for n in ("gather", "scatter"))
            except BaseException:
                self.close()  # pycuda aborts the process if a context is left on its stack
                raise

    @contextmanager
    def faults(self, action: str) -> Iterator[None]:
        """Turn driver errors into a one-line EdgeError."""
        try:
            yield
        except self._cuda.Error as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EdgeError(f"the GPU cannot {action} ({reason})") from error

    def memory(self, size: int) -> Any:
        """``size`` bytes on the device, freed with the last reference."""
        return self._cuda.mem_alloc(max(size, 4))

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A host array that the device can access without an intermediate copy."""
        return np.asarray(self._cuda.pagelocked_empty(shape, dtype))

    def copy_in(self, device: Any, host: npt.NDArray[Any]) -> None:
        """Copy from a pinned array, in stream order."""
        self._cuda.memcpy_htod_async(device, host, self.stream)

    def copy_out(self, host: npt.NDArray[Any], device: Any) -> None:
        """Copy to a pinned array, in stream order."""
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
        """Wait until all work in the stream is done."""
        self.stream.synchronize()

    def write(self, address: int, host: npt.NDArray[Any]) -> None:
        """Copy a host array to ``address`` synchronously."""
        with self.faults("store state rows"):
            self.wait()
            self._cuda.memcpy_htod(address, host)

    def read(self, host: npt.NDArray[Any], address: int) -> None:
        """Copy from ``address`` to a host array synchronously."""
        with self.faults("return state rows"):
            self.wait()
            self._cuda.memcpy_dtoh(host, address)

    def close(self) -> None:
        """Leave the context; memory is freed with its last reference."""
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
        """An unused row; EdgeError if all are in use."""
        if not self.free:
            raise EdgeError(f"more than {self._capacity} state rows are in use; track fewer faces at once")
        return Row(self, self.free.pop())

    def upload(self, values: Float32) -> Row:
        """A new row with ``values`` (D...) from the host."""
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
    """One state row on the device, opaque to the runtime; converts to a host array (D...) on demand."""

    __slots__ = ("slot", "table")

    def __init__(self, table: StateTable, slot: int) -> None:
        self.table, self.slot = table, slot

    def __del__(self) -> None:
        self.table.free.append(self.slot)

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self.table.download(self), dtype)


class Rows(Sequence[Row]):
    """The state rows (N,D...) of one step; converts to a host array on demand."""

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

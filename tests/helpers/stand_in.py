"""A GPU made of host memory: stand-ins for pycuda, for the driver's graph calls and for TensorRT's runtime.

Everything that is asked of a stream runs in its order, or is recorded while the stream is captured. A
"plan" is an ONNX file, which ONNX Runtime computes on the stand-in's memory. Names and signatures of the
TensorRT part are compared with the real bindings in test_trt.py.
"""

from __future__ import annotations

import ctypes
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np

from edge.engines import _cuda


class Memory:
    """Allocations by address; reading or writing outside of one is an error, as on a device."""

    def __init__(self) -> None:
        self.blocks: dict[int, np.ndarray] = {}
        self.next = 4096

    def view(self, address: int, size: int) -> np.ndarray:
        for start, block in self.blocks.items():
            if start <= address and address + size <= start + len(block):
                return block[address - start : address - start + size]
        raise DriverError(f"illegal address {address:#x} + {size}")

    def floats(self, address: int, *shape: int) -> np.ndarray:
        return self.view(address, 4 * int(np.prod(shape))).view(np.float32).reshape(shape)


class DriverError(Exception):
    pass


class Allocation:
    def __init__(self, memory: Memory, size: int) -> None:
        self._memory, self._address = memory, memory.next
        memory.next += size + 256 - size % 256
        memory.blocks[self._address] = np.full(size, 0xFF, np.uint8)  # NaN until written

    def __int__(self) -> int:
        return self._address

    def __del__(self) -> None:
        self._memory.blocks.pop(self._address, None)


class Stream:
    def __init__(self, gpu: Gpu) -> None:
        self.handle = 7000 + len(gpu.streams)
        self.recording: list[Any] | None = None
        gpu.streams[self.handle] = self

    def do(self, work: Any) -> None:
        work() if self.recording is None else self.recording.append(work)

    def synchronize(self) -> None:
        if self.recording is not None:
            raise DriverError("a stream that is captured cannot be waited for")


class Context:
    """A primary context of pycuda, whose destructor calls what the driver refuses."""

    def __init__(self, gpu: Gpu, push: Any, pop: Any) -> None:
        self._gpu, self.push, self.pop = gpu, push, pop

    def detach(self) -> None: ...

    def __del__(self) -> None:
        self._gpu.destroyed += 1


class Gpu:
    """``pycuda.driver``, and with ``driver`` the calls of libcuda that pycuda lacks."""

    Error = DriverError

    def __init__(self) -> None:
        self.memory, self.streams, self.pushed = Memory(), {}, 0
        self.pinned: list[tuple[int, int]] = []
        self.graphs: dict[int, list[Any]] = {}
        self.launches = 0
        self.refuses_capture = False
        self.destroyed = 0  # primary contexts

    def init(self) -> None: ...

    def Device(self, ordinal: int) -> Any:
        def push() -> None:
            self.pushed += 1

        def pop() -> None:
            self.pushed -= 1

        return SimpleNamespace(retain_primary_context=lambda: Context(self, push, pop))

    def Stream(self) -> Stream:
        return Stream(self)

    def mem_alloc(self, size: int) -> Allocation:
        return Allocation(self.memory, size)

    def pagelocked_empty(self, shape: Any, dtype: Any) -> np.ndarray:
        array = np.empty(shape, dtype)
        self.pinned.append((array.ctypes.data, array.ctypes.data + array.nbytes))
        return array

    def is_pinned(self, array: np.ndarray) -> bool:
        return any(start <= array.ctypes.data < end for start, end in self.pinned)

    def memcpy_htod_async(self, dest: Any, src: np.ndarray, stream: Stream) -> None:
        assert src.flags["C_CONTIGUOUS"]
        assert self.is_pinned(src)
        stream.do(lambda: self.memcpy_htod(dest, src))

    def memcpy_dtoh_async(self, dest: np.ndarray, src: Any, stream: Stream) -> None:
        assert dest.flags["C_CONTIGUOUS"]
        assert self.is_pinned(dest)
        stream.do(lambda: self.memcpy_dtoh(dest, src))

    def memcpy_htod(self, dest: Any, src: np.ndarray) -> None:
        self.memory.view(int(dest), src.nbytes)[:] = np.ascontiguousarray(src).reshape(-1).view(np.uint8)

    def memcpy_dtoh(self, dest: np.ndarray, src: Any) -> None:
        dest.reshape(-1).view(np.uint8)[:] = self.memory.view(int(src), dest.nbytes)

    def module_from_buffer(self, ptx: bytes) -> Any:
        assert b".entry gather(" in ptx
        assert b".entry scatter(" in ptx
        return SimpleNamespace(get_function=lambda name: lambda *a, **k: self._kernel(name, *a, **k))

    def _kernel(
        self, name: str, batch: Any, table: Any, slots: Any, width: Any, block: Any, grid: Any, stream: Stream
    ) -> None:
        assert block[0] * grid[0] >= width

        def work() -> None:
            for row, slot in enumerate(self.memory.view(int(slots), 4 * grid[1]).view(np.uint32)):
                kept = self.memory.view(int(table) + 4 * int(width) * int(slot), 4 * int(width))
                used = self.memory.view(int(batch) + 4 * int(width) * row, 4 * int(width))
                if name == "gather":
                    used[:] = kept
                else:
                    kept[:] = used

        stream.do(work)

    # libcuda
    def cuStreamBeginCapture_v2(self, stream: ctypes.c_void_p, mode: ctypes.c_int) -> int:
        if self.refuses_capture:
            return 900  # CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
        self.streams[stream.value].recording = []
        return 0

    def cuStreamEndCapture(self, stream: ctypes.c_void_p, graph: Any) -> int:
        found = self.streams[stream.value]
        graph._obj.value = 1 + len(self.graphs)
        self.graphs[graph._obj.value], found.recording = found.recording, None
        return 0

    def cuGraphInstantiateWithFlags(self, ready: Any, graph: ctypes.c_void_p, flags: Any) -> int:
        ready._obj.value = graph.value
        return 0

    def cuGraphLaunch(self, ready: ctypes.c_void_p, stream: ctypes.c_void_p) -> int:
        self.launches += 1
        for work in self.graphs[ready.value]:
            work()
        return 0

    def cuGraphExecDestroy(self, ready: ctypes.c_void_p) -> int:
        del self.graphs[ready.value]
        return 0

    def cuGraphDestroy(self, graph: ctypes.c_void_p) -> int:
        return 0


class ILogger:
    ERROR, INTERNAL_ERROR = 1, 0

    def __init__(self) -> None: ...


class DataType(Enum):
    FLOAT = 0
    HALF = 1


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._shapes, self._addresses = engine, {}, {}

    def set_input_shape(self, name: str, shape: tuple) -> bool:
        assert shape[0] <= FACES
        self._shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert isinstance(memory, int)
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self._engine.trt.breaks:
            self._engine.trt.logger.log(ILogger.ERROR, "the kernel did not start")
            return False
        gpu: Gpu = self._engine.trt.gpu
        gpu.streams[stream_handle].do(lambda: self._compute(gpu.memory))
        return True

    def _compute(self, memory: Memory) -> None:
        feeds = {n: memory.floats(self._addresses[n], *shape).copy() for n, shape in self._shapes.items()}
        outputs = self._engine.session.run(None, feeds)
        for name, value in zip(self._engine.output_names, outputs, strict=True):
            memory.floats(self._addresses[name], *value.shape)[:] = value + self._engine.trt.error


FACES = 3  # of every plan


class ICudaEngine:
    def __init__(self, trt: Tensorrt, model: bytes) -> None:
        import onnxruntime

        self.trt = trt
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._inputs = {node.name: node.shape for node in self.session.get_inputs()}
        self._outputs = {node.name: node.shape for node in self.session.get_outputs()}
        self.output_names = list(self._outputs)

    @property
    def num_io_tensors(self) -> int:
        return len(self._inputs) + len(self._outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self._inputs, *self._outputs][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = (self._inputs | self._outputs)[name]
        return tuple(side if isinstance(side, int) else -1 for side in shape)

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.trt.dtype

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        rest = self.get_tensor_shape(name)[1:]
        return [(1, *rest), (1, *rest), (FACES, *rest)]

    def create_execution_context(self) -> IExecutionContext:
        return IExecutionContext(self)


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        trt = self._logger.trt
        trt.logger = self._logger
        if serialized_engine.startswith(b"old"):
            self._logger.log(ILogger.ERROR, "Version tag does not match")
            return None
        return ICudaEngine(trt, serialized_engine)


class Tensorrt:
    """``tensorrt`` as far as the runtime needs it, on a stand-in GPU."""

    __name__, __version__ = "tensorrt", "10.3.0"
    Builder = None  # library() wants to see one
    DataType, TensorIOMode, Runtime = DataType, TensorIOMode, Runtime

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.dtype = gpu, DataType.FLOAT
        self.breaks, self.error = False, 0.0
        self.logger: Any = None
        self.ILogger = type("ILogger", (ILogger,), {"trt": self})


def install(monkeypatch: Any) -> Tensorrt:
    """Put the stand-ins in the place of pycuda, libcuda and TensorRT for one test."""
    from edge.engines.tensorrt import engine as trt

    gpu = Gpu()
    made = Tensorrt(gpu)
    monkeypatch.setattr(_cuda, "driver", lambda: gpu)
    monkeypatch.setattr(_cuda, "driver_library", lambda: gpu)
    monkeypatch.setattr(trt, "library", lambda: made)
    return made

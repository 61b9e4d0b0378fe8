"""The one door to the CUDA driver: pycuda where it is installed, else NVIDIA's cuda-bindings.

pycuda has no wheel and is compiled on a board; cuda-bindings has wheels for x86-64 and aarch64. All that is
needed of the driver are the few names of ``pycuda.driver`` that ``Bindings`` repeats, and for recordings the
driver's own library, which works beside either.
"""

from __future__ import annotations

import ctypes
import importlib
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import DependencyError, EdgeError

# 12.9 speaks to the drivers of CUDA 12 (JetPack 6) and 13 (JetPack 7): a driver serves what an older one did.
FIX = "pip install 'cuda-bindings>=12.9,<13'; a kit without it needs: emotion-edge kit make --add-wheel WHEEL"


def driver() -> Any:
    """``pycuda.driver``, or what stands for it; DependencyError of one line if neither can be imported."""
    faults = []
    for name, opened in LIBRARIES.items():
        try:
            return opened(importlib.import_module(name))
        except ModuleNotFoundError as error:
            faults.append(f"no {error.name}")
        except ImportError as error:  # installed, but for another NumPy, or without a driver
            faults.append(f"{name}: {str(error).splitlines()[0] if str(error) else 'broken'}")
    raise DependencyError(f"no library speaks to the CUDA driver ({'; '.join(faults)}); {FIX}")


def keep(context: Any) -> None:
    """Let a retained primary context of pycuda live as long as the process; of ours nothing is kept.

    pycuda 2026.1 (cuda.hpp) releases it in a virtual function that its base class calls from the
    destructor, where C++ takes the base's: cuCtxDetach, which the CUDA driver API allows only for contexts of
    cuCtxCreate and cuCtxAttach. That fails with a warning on standard error, and leaves the context on the
    thread's stack. Nothing is lost: CUDA's runtime, which TensorRT uses, holds the same context until the
    process ends.
    """
    if hasattr(context, "detach"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(context))


class DriverError(Exception):
    """A call of the driver failed; the text names the call and its reason."""


class Bindings:
    """What ``memory`` needs of ``pycuda.driver``, on ``cuda.bindings.driver``.

    The calls of ``api`` return a status and values. Whatever is made here is freed with its last reference,
    and the context with the last of all. Raises DriverError.
    """

    Error = DriverError

    def __init__(self, api: ModuleType) -> None:
        self._api = api
        self._context: Any = None

    def init(self) -> None:
        """Start the driver."""
        self._ask("cuInit", 0)

    def Device(self, ordinal: int) -> Any:
        """A GPU, whose ``retain_primary_context`` gives the context with its ``push`` and ``pop``."""
        device = self._ask("cuDeviceGet", ordinal)

        def retain() -> SimpleNamespace:
            self._context = self._ask("cuDevicePrimaryCtxRetain", device)
            _at_the_end_of(self, self._api.cuDevicePrimaryCtxRelease, device)
            return SimpleNamespace(push=self._push, pop=self._pop)

        return SimpleNamespace(retain_primary_context=retain)

    def Stream(self) -> Any:
        """A stream, with its ``handle`` as an integer and ``synchronize``."""
        handle = int(self._ask("cuStreamCreate", 0))

        def synchronize() -> None:
            self._ask("cuStreamSynchronize", handle)

        return self._owned(_Made(handle, synchronize=synchronize), "cuStreamDestroy", handle)

    def mem_alloc(self, size: int) -> Any:
        """``size`` bytes on the device; ``int`` gives their address."""
        address = self._ask("cuMemAlloc", size)
        return self._owned(_Made(int(address)), "cuMemFree", address)

    def pagelocked_empty(self, shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A host array that the device reads and writes without a copy in between."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._ask("cuMemAllocHost", max(size, 1)))
        buffer: Any = (ctypes.c_char * size).from_address(address)
        self._owned(buffer, "cuMemFreeHost", address)  # every view of the array holds the buffer
        return np.frombuffer(buffer, dtype).reshape(shape)

    def memcpy_htod_async(self, dest: Any, src: npt.NDArray[Any], stream: Any) -> None:
        """Copy to the device, in stream order."""
        self._ask("cuMemcpyHtoDAsync", int(dest), _start(src), src.nbytes, stream.handle)

    def memcpy_dtoh_async(self, dest: npt.NDArray[Any], src: Any, stream: Any) -> None:
        """Copy from the device, in stream order."""
        self._ask("cuMemcpyDtoHAsync", _start(dest), int(src), dest.nbytes, stream.handle)

    def memcpy_htod(self, dest: Any, src: npt.NDArray[Any]) -> None:
        """Copy to the device and wait."""
        self._ask("cuMemcpyHtoD", int(dest), _start(src), src.nbytes)

    def memcpy_dtoh(self, dest: npt.NDArray[Any], src: Any) -> None:
        """Copy from the device and wait."""
        self._ask("cuMemcpyDtoH", _start(dest), int(src), dest.nbytes)

    def module_from_buffer(self, buffer: bytes) -> Any:
        """PTX, compiled for this GPU; ``get_function`` gives a kernel to call."""
        module = self._ask("cuModuleLoadData", buffer)

        def get_function(name: str) -> Callable[..., None]:
            kernel = self._ask("cuModuleGetFunction", module, name.encode())

            def launch(*values: Any, block: Sequence[int], grid: Sequence[int], stream: Any) -> None:
                cells = [np.asarray(_scalar(value)) for value in values]
                places = np.array([cell.ctypes.data for cell in cells], np.uint64)
                sides = (*grid, 1, *block)
                self._ask("cuLaunchKernel", kernel, *sides, 0, stream.handle, places.ctypes.data, 0)

            return launch

        return self._owned(_Made(int(module), get_function=get_function), "cuModuleUnload", module)

    def _push(self) -> None:
        self._ask("cuCtxPushCurrent", self._context)

    def _pop(self) -> None:
        self._ask("cuCtxPopCurrent")

    def _owned(self, thing: Any, destroy: str, handle: Any) -> Any:
        """``thing``, at whose end ``handle`` is destroyed in its context, by whatever thread."""

        def free() -> None:
            with suppress(DriverError):  # after a GPU fault every call fails
                self._push()
                try:
                    self._ask(destroy, handle)
                finally:
                    self._pop()

        _at_the_end_of(thing, free)
        return thing

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            status, *values = getattr(self._api, name)(*arguments)
        except RuntimeError as error:  # no driver, or one that lacks the call
            raise DriverError(str(error)) from error
        if int(status):
            text = self._api.cuGetErrorString(status)[1] or b"unknown error"
            raise DriverError(f"{name} failed: {text.decode()}")
        return values[0] if values else None


class _Made:
    """A handle of the driver or an address on the device, and what can be asked of it."""

    def __init__(self, handle: int, **calls: Callable[..., Any]) -> None:
        self.handle = handle
        vars(self).update(calls)

    def __int__(self) -> int:
        return self.handle


LIBRARIES: dict[str, Callable[[ModuleType], Any]] = {
    "pycuda.driver": lambda module: module,
    "cuda.bindings.driver": Bindings,
}


def _at_the_end_of(thing: Any, call: Callable[..., Any], *arguments: Any) -> None:
    weakref.finalize(thing, call, *arguments).atexit = False  # a process that ends gives all back by itself


def _start(array: npt.NDArray[Any]) -> int:
    if not array.flags.c_contiguous:
        raise ValueError("only a contiguous array can be copied to and from a GPU")
    return int(array.ctypes.data)


def _scalar(value: Any) -> Any:
    """A kernel's argument: a NumPy scalar as it is, an address as 64 bits."""
    return value if isinstance(value, np.generic) else np.uint64(int(value))


def driver_library() -> Any:
    """The CUDA driver, for the calls that pycuda lacks."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EdgeError("no NVIDIA driver on this machine (libcuda.so.1); install it") from error

"""Work of a CUDA stream that is recorded once and launched as a unit.

pycuda cannot record, so the driver itself is asked, beside whichever library speaks to it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edge.engines import _cuda
from edge.errors import EdgeError

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL


class Graph:
    """The work of a stream, recorded once and launched as a unit (CUDA driver API, graph management)."""

    def __init__(self, stream: int, work: Callable[[], None]) -> None:
        """Record what ``work`` enqueues on ``stream``; EdgeError if part of it cannot be recorded."""
        self._driver, self._stream = _cuda.driver_library(), ctypes.c_void_p(stream)
        self._graph, self._ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_THREAD_LOCAL))
        try:
            work()
        except BaseException:
            with suppress(EdgeError):
                self._end_capture()  # a stream left in capture mode would be unusable
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
        """Launch the recorded work, in stream order."""
        self._call("cuGraphLaunch", self._ready, self._stream)

    def close(self) -> None:
        """Free the recording."""
        self._call("cuGraphExecDestroy", self._ready)
        self._call("cuGraphDestroy", self._graph)

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            status = getattr(self._driver, name)(*arguments)
        except AttributeError as error:
            raise EdgeError(f"this NVIDIA driver has no {name}; install a newer one") from error
        if status:
            raise EdgeError(f"{name} failed with CUDA error {status}")

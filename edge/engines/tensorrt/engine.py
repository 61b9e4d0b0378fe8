"""TensorRT on the GPU: one step for all faces, whose states stay on the device between frames."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import StateTensor
from edge.data import TensorSpec
from edge.engines.tensorrt import plans
from edge.engines.tensorrt.builder import library, make_logger, start
from edge.engines.tensorrt.graph import Graph
from edge.engines.tensorrt.memory import Device, Row, Rows, StateTable
from edge.errors import EdgeError
from edge.system.closing import Closing

log = logging.getLogger("edge")
STATE_ROWS = 512  # capacity for face states, including those of a running step


class Stale(EdgeError):
    """A plan for another TensorRT or GPU, which must be rebuilt."""


class TrtEngine(Closing):
    """Runs a plan from ``plans`` for a bundle with these ``state`` tensors.

    ``run`` takes a state as host rows or as returned by the last step. It returns states as ``Rows``, which
    stay on the device and can be converted to host arrays. Use it only in the thread that created it. Raises
    EdgeError if the plan is for another version or GPU, and if the GPU fails.
    """

    def __init__(self, plan: Path, state: Sequence[StateTensor], state_rows: int = STATE_ROWS) -> None:
        self._trt = library()
        self.serves = f"{plan.stem.rpartition('-')[0]} on TensorRT"
        self._device = Device()
        try:
            with self._device.faults("load the engine"):
                self._load(plan, state, state_rows)
        except BaseException:
            self._device.close()
            raise

    def _load(self, plan: Path, state: Sequence[StateTensor], state_rows: int) -> None:
        trt, device = self._trt, self._device
        self._logger = make_logger(trt)
        self._runtime = start(trt, trt.Runtime, self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plans.read(plan))
        if self._engine is None:
            raise Stale(f"TensorRT {trt.__version__} cannot load {plan.name} ({self._reason()}); rebuild it")
        names = [self._engine.get_tensor_name(at) for at in range(self._engine.num_io_tensors)]
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.inputs: Mapping[str, TensorSpec] = {n: self._spec(n) for n in inputs}
        self.outputs: Mapping[str, TensorSpec] = {n: self._spec(n) for n in names if n not in inputs}
        self.faces = int(self._engine.get_tensor_profile_shape("face", 0)[2][0])
        self._state = state
        self._tables = [StateTable(device, tensor.shape, state_rows) for tensor in state]
        carried = {name for tensor in state for name in (tensor.input, tensor.output)}
        self._memory, self._host = {}, {}
        for spec in (*self.inputs.values(), *self.outputs.values()):
            shape = (self.faces, *_row(spec))
            self._memory[spec.name] = device.memory(4 * int(np.prod(shape)))
            if spec.name not in carried:
                self._host[spec.name] = device.pinned(shape, np.float32)
        # Slots to gather each state from and to scatter it to: two rows per state.
        self._slot_memory = [device.memory(4 * self.faces) for _ in range(2 * len(state))]
        self._slots = device.pinned((len(self._slot_memory), self.faces), np.uint32)
        self._steps: dict[int, _Step] = {}

    def _spec(self, name: str) -> TensorSpec:
        kind = self._engine.get_tensor_dtype(name)
        if kind != self._trt.DataType.FLOAT:
            raise EdgeError(f"the engine's {name} is {kind}, expected float32; export the bundle again")
        shape = tuple(self._engine.get_tensor_shape(name))
        return TensorSpec(name, "float32", (None, *shape[1:]))

    def _reason(self) -> str:
        return self._logger.last or "no reason given"

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch of any size; more faces than the engine's maximum are run in several steps."""
        count = len(feeds["face"])
        parts = []
        with self._device.faults("run the step"):
            for at in range(0, count, self.faces):
                parts.append(self._run({n: value[at : at + self.faces] for n, value in feeds.items()}))
        return parts[0] if len(parts) == 1 else self._joined(parts)

    def _joined(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        joined: dict[str, Any] = {}
        for name, spec in self.outputs.items():
            pieces = [part[name] for part in parts]
            if name not in self._host:
                joined[name] = Rows([row for piece in pieces for row in piece], _row(spec))
            else:
                joined[name] = np.concatenate(pieces) if pieces else np.empty((0, *_row(spec)), np.float32)
        return joined

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        count = len(feeds["face"])
        self._host["face"][:count] = feeds["face"]
        old_rows, new_states = [], {}
        for at, (tensor, table) in enumerate(zip(self._state, self._tables, strict=True)):
            rows = [_on_device(table, row) for row in feeds[tensor.input]]
            new_rows = [table.claim() for _ in rows]
            self._slots[2 * at, :count] = [row.slot for row in rows]
            self._slots[2 * at + 1, :count] = [row.slot for row in new_rows]
            old_rows.append(rows)  # keeps their slots claimed until the step is done
            new_states[tensor.output] = Rows(new_rows, tensor.shape)
        if count not in self._steps:
            self._steps[count] = _Step(self, count)
        self._steps[count].launch()
        self._device.wait()
        del old_rows
        return {n: new_states[n] if n in new_states else self._host[n][:count].copy() for n in self.outputs}

    def enqueue(self, context: Any, count: int) -> None:
        """Enqueue one complete step for ``count`` faces: copy in, gather, network, scatter, copy out."""
        device = self._device
        device.copy_in(self._memory["face"], self._host["face"][:count])
        for memory, slots in zip(self._slot_memory, self._slots, strict=True):
            device.copy_in(memory, slots[:count])
        for tensor, table, slots in zip(self._state, self._tables, self._slot_memory[::2], strict=True):
            device.gather(self._memory[tensor.input], table.memory, slots, count, table.width)
        if not context.execute_async_v3(device.stream.handle):
            raise EdgeError(f"TensorRT cannot run the step ({self._reason()})")
        for tensor, table, slots in zip(self._state, self._tables, self._slot_memory[1::2], strict=True):
            device.scatter(self._memory[tensor.output], table.memory, slots, count, table.width)
        for name in self.outputs.keys() & self._host.keys():
            device.copy_out(self._host[name][:count], self._memory[name])

    def context(self, count: int) -> Any:
        """An execution context for ``count`` faces, bound to the buffers."""
        context = self._engine.create_execution_context()
        if context is None:
            raise EdgeError(f"TensorRT has no memory for another batch size ({self._reason()})")
        accepted = [context.set_input_shape(name, (count, *_row(spec))) for name, spec in self.inputs.items()]
        accepted += [context.set_tensor_address(name, int(memory)) for name, memory in self._memory.items()]
        if not all(accepted):
            raise EdgeError(f"TensorRT rejects a batch of {count} faces ({self._reason()})")
        return context

    def record(self, context: Any, count: int) -> Graph:
        """The step for ``count`` faces as a CUDA graph; EdgeError if it cannot be recorded."""
        with self._device.faults("record the step"):
            return Graph(self._device.stream.handle, lambda: self.enqueue(context, count))

    def close(self) -> None:
        """Free the graphs and leave the GPU's context."""
        try:
            for step in self._steps.values():
                step.close()
        except EdgeError as error:  # after a GPU fault every call fails
            log.debug("%s", error)
        finally:
            self._steps.clear()
            self._device.close()


class _Step:
    """The step for one batch size: run directly once, then recorded and launched as a graph.

    TensorRT requires a run between a change of shapes and a recording. Each size has its own context, because
    a recording is valid only as long as the shapes of its context do not change.
    """

    def __init__(self, engine: TrtEngine, count: int) -> None:
        self._engine, self._count = engine, count
        self._context = engine.context(count)
        self._runs = 0
        self._graph: Graph | None = None

    def launch(self) -> None:
        if self._runs == 1:
            try:
                self._graph = self._engine.record(self._context, self._count)
            except EdgeError as error:
                log.info("steps of %d faces run without a CUDA graph: %s", self._count, error)
        self._runs += 1
        if self._graph:
            self._graph.launch()
        else:
            self._engine.enqueue(self._context, self._count)

    def close(self) -> None:
        if self._graph:
            self._graph.close()


def _row(spec: TensorSpec) -> tuple[int, ...]:
    """Shape of one row; only the first dimension is dynamic."""
    return tuple(side for side in spec.shape[1:] if side is not None)


def _on_device(table: StateTable, row: Row | npt.NDArray[np.float32]) -> Row:
    return row if isinstance(row, Row) and row.table is table else table.upload(np.asarray(row))

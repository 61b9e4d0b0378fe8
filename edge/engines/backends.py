"""The table of backends: what can run the step, in which precisions, and how it is put into service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.config import EngineConfig
from edge.errors import BundleError, EdgeError
from edge.parts import Part
from edge.protocols import Engine
from edge.system.device import gpu, jetpack
from edge.system.ort_session import CUDA, cuda_provider


@dataclass(frozen=True)
class BackendPart(Part):
    """A backend; ``load`` takes its settings, a bundle, a precision and a number of threads.

    ``serve`` takes the settings, a bundle, a precision, and an engine to use until the backend is ready. If
    it is None, the engine from ``load`` is ready immediately.
    """

    measured: tuple[str, ...]  # precisions that `check` measures, the most promising first
    unmeasured: tuple[str, ...] = ()  # precisions that it runs only if configured by name
    threaded: bool = False  # whether its number of threads matters
    on_processor: bool = False  # its results on a processor are stable; a GPU's driver may change
    fault: Callable[[], str] = lambda: ""  # why it cannot run here, "" if it can
    traits: Callable[[], list[str]] = list  # what a measurement depends on, besides the processor
    serve: Callable[[EngineConfig, Bundle, str, Engine], Engine] | None = None

    @property
    def precisions(self) -> tuple[str, ...]:
        """All precisions that it runs."""
        return self.measured + self.unmeasured


def _onnxruntime(_: EngineConfig, bundle: Bundle, precision: str, threads: int) -> Engine:
    from edge.engines.ort import OrtEngine

    return _matching(bundle, OrtEngine(bundle.model(precision), threads))


def _onnxruntime_cuda(_: EngineConfig, bundle: Bundle, precision: str, threads: int) -> Engine:
    from edge.engines.ort import OrtEngine

    return _matching(bundle, OrtEngine(bundle.model(precision), provider=CUDA))


def _tensorrt(settings: EngineConfig, bundle: Bundle, precision: str, threads: int) -> Engine:
    from edge.engines.tensorrt import hot_swap

    return hot_swap.obtain(bundle, precision, settings.faces, _plans(settings))


def _serve_tensorrt(settings: EngineConfig, bundle: Bundle, precision: str, standby: Engine) -> Engine:
    from edge.engines.tensorrt import hot_swap

    precisions = hot_swap.precisions_from(bundle, precision)
    return hot_swap.Serving(bundle, standby, precisions, settings.faces, _plans(settings))


def _cuda_fault() -> str:
    return "" if cuda_provider() else "this ONNX Runtime was built without CUDA"


def tensorrt_fault() -> str:
    """Why TensorRT cannot run here; "" if it can. Without a GPU, none of its modules is imported."""
    try:
        jetpack()
        gpu()
    except EdgeError as error:
        return str(error)
    from edge.engines.tensorrt import hot_swap

    return hot_swap.unusable()


def _tensorrt_traits() -> list[str]:
    from edge.engines.tensorrt.builder import library

    trt, device = library(), gpu()
    return [trt.__name__, trt.__version__, device.name, device.capability, jetpack()]


# Slowest first: until `check` has measured, the last one that runs here is the best guess. A new one that is
# not the fastest stands before those that are.
BACKENDS: tuple[BackendPart, ...] = (
    BackendPart(
        "onnxruntime", _onnxruntime, EngineConfig, "onnxruntime", "every machine, on the processor",
        measured=("fp32", "int8-cpu"), unmeasured=("fp16",), threaded=True, on_processor=True,
    ),
    BackendPart(
        "onnxruntime-cuda", _onnxruntime_cuda, EngineConfig, "onnxruntime-gpu",
        "an NVIDIA GPU without TensorRT", measured=("fp32", "fp16"), fault=_cuda_fault,
    ),
    BackendPart(
        "tensorrt", _tensorrt, EngineConfig, "TensorRT 10.3 or newer and pycuda", "Jetson and RTX GPUs",
        measured=("int8-trt", "fp16", "fp32"), fault=tensorrt_fault, traits=_tensorrt_traits,
        serve=_serve_tensorrt,
    ),
)  # fmt: skip


def _plans(settings: EngineConfig) -> Path:
    """The folder in which TensorRT engines are stored."""
    from edge.engines.tensorrt import plans

    return Path(settings.folder or plans.default_folder()).absolute()


def _matching(bundle: Bundle, engine: Engine) -> Engine:
    """``engine``; BundleError if the manifest describes another graph."""
    face_input = bundle.manifest.input
    face = (face_input.channels, face_input.size, face_input.size)
    inputs = {"face": face, **{tensor.input: tensor.shape for tensor in bundle.state}}
    outputs = {"logits": (len(bundle.labels),), **{tensor.output: tensor.shape for tensor in bundle.state}}
    for specs, expected in ((engine.inputs, inputs), (engine.outputs, outputs)):
        for name, shape in expected.items():
            actual = specs[name].shape[1:] if name in specs else None
            if actual is None or [d for d in actual if d is not None] != list(shape):
                raise BundleError(
                    f"{bundle.folder}: {name} has shape {shape} in the manifest, but in the graph "
                    f"{'it is missing' if actual is None else actual}; export the bundle again"
                )
    return engine

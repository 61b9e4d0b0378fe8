"""The table of backends: what can run the step, in which precisions, and how it is put into service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.config import EngineConfig
from edge.data import TensorSpec
from edge.errors import BundleError, EdgeError
from edge.parts import Part
from edge.protocols import Engine
from edge.system.device import gpu, jetpack
from edge.system.one_line import one_line
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
    return _checked(bundle, precision, threads)


def _onnxruntime_cuda(_: EngineConfig, bundle: Bundle, precision: str, threads: int) -> Engine:
    return _checked(bundle, precision, provider=CUDA)


def _tensorrt(settings: EngineConfig, bundle: Bundle, precision: str, threads: int) -> Engine:
    from edge.engines.tensorrt import hot_swap

    model_bytes(bundle, precision)
    return hot_swap.obtain(bundle, precision, settings.faces, _plans(settings))


def _serve_tensorrt(settings: EngineConfig, bundle: Bundle, precision: str, standby: Engine) -> Engine:
    from edge.engines.tensorrt import hot_swap

    precisions = hot_swap.precisions_from(bundle, precision)
    for name in precisions:
        model_bytes(bundle, name)
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
        "tensorrt", _tensorrt, EngineConfig, "TensorRT 10.3 or newer, and cuda-bindings or pycuda",
        "Jetson and RTX GPUs",
        measured=("int8-trt", "fp16", "fp32"), fault=tensorrt_fault, traits=_tensorrt_traits,
        serve=_serve_tensorrt,
    ),
)  # fmt: skip


def _plans(settings: EngineConfig) -> Path:
    """The folder in which TensorRT engines are stored."""
    from edge.engines.tensorrt import plans

    return Path(settings.folder or plans.default_folder()).absolute()


def _checked(bundle: Bundle, precision: str, threads: int = 1, provider: str = "") -> Engine:
    """The network of a precision on ONNX Runtime; BundleError if it is not what the manifest describes."""
    from edge.engines.ort import PROCESSOR, OrtEngine

    content, model = model_bytes(bundle, precision), bundle.model(precision)
    return _matching(
        bundle, model, OrtEngine(model, threads, provider=provider or PROCESSOR, content=content)
    )


def model_bytes(bundle: Bundle, precision: str) -> bytes:
    """The ONNX file of a precision; BundleError if it changed, or its graph is no step."""
    from edge.engines.graph_check import check_graph

    content = bundle.read_model(precision)
    try:
        check_graph(content)
    except ValueError as error:
        raise BundleError(
            f"{bundle.model(precision)} is no usable ONNX file ({error}); export the bundle again"
        ) from error
    return content


def _matching(bundle: Bundle, model: Path, engine: Engine) -> Engine:
    """``engine``; BundleError if the manifest describes another graph."""
    face = bundle.manifest.input
    inputs = {"face": (face.channels, face.size, face.size)} | {t.input: t.shape for t in bundle.state}
    outputs = {"logits": (len(bundle.labels),)} | {t.output: t.shape for t in bundle.state}
    outputs |= bundle.manifest.extra_outputs
    for kind, specs, expected in (("input", engine.inputs, inputs), ("output", engine.outputs, outputs)):
        # Outputs beyond the manifest's explain something else, and are left alone.
        for name in [*expected, *specs] if kind == "input" else expected:
            wanted, actual = _told(expected.get(name)), _told_spec(specs.get(name))
            if wanted != actual:
                raise BundleError(
                    one_line(
                        f"{model}: {kind} {name:.60} is {actual:.80} in the graph, but {wanted:.80} in "
                        "the manifest; export the bundle again"
                    )
                )
    return engine


def _told(row: tuple[int, ...] | None) -> str:
    """A tensor of the manifest: float32 for any number of faces."""
    return "missing" if row is None else f"float32 ({', '.join(map(str, ('N', *row)))})"


def _told_spec(spec: TensorSpec | None) -> str:
    """A tensor of the graph in the same words."""
    if spec is None:
        return "missing"
    sizes = ", ".join("N" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype} ({sizes})"

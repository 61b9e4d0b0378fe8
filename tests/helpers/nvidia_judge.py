"""NVIDIA's own ONNX parser and builder, TensorRT-RTX, which need no GPU to judge a file: ``make judge``."""

from __future__ import annotations

from pathlib import Path

import pytest


def parse(path: Path) -> tuple[bool, int, str]:
    """Whether the parser accepts a file, the size of a plan for SM86, and the first complaint."""
    trt = pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        return False, 0, parser.get_error(0).desc()
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for at in range(network.num_inputs):
        tensor = network.get_input(at)
        row = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (1, *row), (4, *row), (8, *row))
    config.add_optimization_profile(profile)
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    plan = builder.build_serialized_network(network, config)
    return True, 0 if plan is None else plan.nbytes, ""

"""Nodes of an ONNX graph: their names for messages, their attributes."""

from __future__ import annotations

import re
from typing import Any

from onnx import NodeProto, helper


def label(node: NodeProto) -> str:
    """Operator and name, and the module where the exporter says it, for messages."""
    module = module_of(node)
    named = f"{node.op_type} node {node.name or node.output[0]!r}"
    return f"{named} in {module!r}" if module else named


def module_of(node: NodeProto) -> str:
    """The module of the user's network that a node comes from; "" where no exporter says it.

    The old exporter of PyTorch names nodes by it ("/head/fc/Gemm"), the new one keeps it as metadata.
    """
    for entry in node.metadata_props:
        if (
            entry.key == "namespace"
        ):  # ": net.Net/head: net.Head/head.fc: torch.nn.Linear/linear: aten.linear"
            parts = [part.split(": ")[0] for part in entry.value.split("/")]
            module = next((part for part in reversed(parts[:-1]) if part), "")
            return re.sub(r"^((frames|original)(\.|$))+", "", module)  # export.plain stands around it
    path = node.name.strip("/").split("/")
    return (
        path[-2] if node.name.startswith("/") and len(path) > 1 and "." in path[-2] else ".".join(path[:-1])
    )


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute of ``node``."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default

"""What an INT8 file says of its weights: whether x86's fast kernel may run it.

The export writes the mark beside the graph. It is not believed: golden outputs judge what a machine
computes.
"""

from __future__ import annotations

from edge.system.wire_format import BYTES, fields

KEY, VALUE = "emotion-edge.pair_safe", "1"  # of metadata_props
_METADATA = 14  # fields of onnx.proto: of ModelProto, and of its StringStringEntryProto
_KEY, _VALUE = 1, 2


def is_pair_safe(model: bytes) -> bool:
    """Whether this ONNX file is marked; False for what is no ONNX file, which others refuse."""
    try:
        return any(
            _entry(model, field.at, field.stop) == {_KEY: KEY.encode(), _VALUE: VALUE.encode()}
            for field in fields(model)
            if (field.number, field.kind) == (_METADATA, BYTES)
        )
    except ValueError:
        return False


def _entry(model: bytes, at: int, stop: int) -> dict[int, bytes]:
    return {field.number: model[field.at : field.stop] for field in fields(model, at, stop)}

"""ONNX graphs: from a network over windows to one streaming step."""

"""Folded graph to engine: ONNX and TensorRT, and the proof that what was built matches the reference generator."""

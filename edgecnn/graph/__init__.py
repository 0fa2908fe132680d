"""ONNX: export, checks, custom models, multiply-adds counted once, and passes over the graph."""

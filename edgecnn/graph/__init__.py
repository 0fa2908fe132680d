"""ONNX: export, checks, custom models, counting multiply-adds, and passes over the graph."""

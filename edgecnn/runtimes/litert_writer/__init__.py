"""Write a LiteRT model from an ONNX network, with the FlatBuffer schema that ``ai-edge-litert`` ships."""

"""TensorRT engines, which a device builds for itself."""

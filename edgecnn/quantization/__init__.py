"""INT8 and half precision: schemes, calibration, mixed precision, quantization-aware training, sensitivity."""

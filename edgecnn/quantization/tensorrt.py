"""INT8 for TensorRT: symmetric int8 at the inputs of every convolution and matrix product, in fp16-typed Q/DQ.

Only inputs are quantized: TensorRT fuses what follows a convolution (bias, activation, the residual's addition) into it, and a
quantizer between them would forbid that. Biases stay float, since an int32 bias is a parse error there. The fp32 form of the
same graph is the twin; typed fp32 it would ship convolutions that write float32 to memory.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from edgecnn.graph.document import load_model
from edgecnn.graph.passes.half_qdq import carry_half_qdq, type_half_qdq
from edgecnn.quantization.float16 import write_pair
from edgecnn.quantization.job import Job

MULTIPLIERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16-typed Q/DQ file, its fp32-carrier twin, and both ``model.json``.

    Raises:
        HalfOverflow: a weight or a scale is beyond fp16's range.
        OpsetTooLowForHalf: the trunk's opset is below 19.
        UnsignedQuantization, NonZeroZeroPoint, QuantizedBias, PerChannelAxis, OnnxBeyondReader: the file would not build rightly.
    """
    carried = carry_half_qdq(symmetric_qdq(job.onnx, _Feeds(job)))
    write_pair(job, carried, type_half_qdq(carried))
    count = sum(node.op_type == "QuantizeLinear" for node in carried.graph.node)
    return {
        "form": "Q/DQ typed fp16, opset 20, float32 at input and output",
        "scheme": "int8, symmetric, zero-point 0; weights per channel; float bias",
        "calibration": "largest magnitude",
        "calibration_images": len(job.pixels),
        "quantized_tensors": count,
        "twin": "the same integers and scales, computed in fp32 with Q/DQ fusion off",
        "twin_omits": "the rounding of activations to fp16 between quantized layers",
    }


def symmetric_qdq(trunk: Path, feeds: CalibrationDataReader) -> onnx.ModelProto:
    """The trunk with symmetric int8 Q/DQ at the inputs of its multiplying nodes, typed fp32.

    Args:
        trunk: a float ONNX model with one input.
        feeds: calibration batches, read once.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-qdq-") as folder, _quiet_about_preprocessing():
        written = Path(folder) / "qdq.onnx"
        quantize_static(
            trunk,
            written,
            feeds,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(MULTIPLIERS),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": list(MULTIPLIERS),
            },
        )
        return load_model(written)


class _Feeds(CalibrationDataReader):  # type: ignore[misc]
    """The job's calibration images under the name of the trunk's input."""

    def __init__(self, job: Job) -> None:
        self._name = load_model(job.onnx).graph.input[0].name
        self._feeds: Iterator[npt.NDArray[Any]] = job.feeds()

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """One image, or None at the end."""
        feed = next(self._feeds, None)
        return None if feed is None else {self._name: feed}


@contextmanager
def _quiet_about_preprocessing() -> Iterator[None]:
    """The library advises shape inference and folding for every model; the exporter has done both."""
    root = logging.getLogger()
    advice = _Advice()
    root.addFilter(advice)
    try:
        yield
    finally:
        root.removeFilter(advice)


class _Advice(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

"""INT8 for TensorRT from a network that learned to be rounded as TensorRT rounds: its own Q/DQ file, typed fp16, and the twin.

Nothing is calibrated: ranges and weights are those that were learned. What ships and its twin come of that file exactly as
post-training ones come of theirs, so that the two kinds differ in their numbers and in nothing else.
"""

from __future__ import annotations

from typing import Any

from edgecnn.backends.tensorrt import UNFUSED
from edgecnn.graph.document import load_model
from edgecnn.graph.passes.half import carry_half_qdq, type_half_qdq
from edgecnn.quantization.float16 import write_pair
from edgecnn.quantization.job import Job
from edgecnn.quantization.onnxruntime import float_layers
from edgecnn.quantization.tensorrt import distances


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16-typed Q/DQ file, its fp32-carrier twin, and both ``model.json``.

    Raises:
        HalfOverflow: a weight or an activation is beyond fp16's range.
        OpsetTooLowForHalf: the learned file's opset is below 19.
        UnsignedQuantization, NonZeroZeroPoint, QuantizedBias, PerChannelAxis, OnnxBeyondReader: the file would not build rightly.
        TwinDisagrees: what ships is much further from the learned file than its twin is.
    """
    carried = carry_half_qdq(load_model(job.onnx))
    write_pair(job, carried, type_half_qdq(carried))
    return {
        "form": "Q/DQ typed fp16, float32 at input and output",
        "calibration": "none: ranges are those that the network learned with",
        "quantized_tensors": sum(node.op_type == "QuantizeLinear" for node in carried.graph.node),
        "float_layers": float_layers(carried),
        "twin": "the same integers and scales, computed in fp32 with Q/DQ fusion off",
        "twin_omits": "the rounding of activations to fp16 between quantized layers",
        "distance_from_learned": distances(job, UNFUSED),
    }

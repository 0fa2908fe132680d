"""INT8 for TensorRT: symmetric int8 at the inputs of every convolution and matrix product, in fp16-typed Q/DQ.

Only inputs are quantized: TensorRT fuses what follows a convolution (bias, activation, the residual's addition) into it, and a
quantizer between them would forbid that. Biases stay float, since an int32 bias is a parse error there. The fp32 form of the
same graph is the twin; shipped itself, it would make convolutions that write float32 to memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType

from edgecnn.backends.tensorrt import UNFUSED
from edgecnn.errors.graph import TwinDisagrees
from edgecnn.graph.attention import WEIGHTED, attention_products
from edgecnn.graph.onnx_file import load_model, require_unquantized
from edgecnn.graph.passes.half import carry_half_qdq, refuse_learned_overflow, round_between, type_half
from edgecnn.quantization.executors.onnxruntime_cpu import logits_of
from edgecnn.quantization.float16 import write_pair
from edgecnn.quantization.golden import TWIN_FOLDER
from edgecnn.quantization.job import Job, require_finite_answers
from edgecnn.quantization.onnxruntime import Feeds, float_layers, quantized
from edgecnn.values.candidate import Method

COMPARED_IMAGES = 32
_FACTOR, _FLOOR = 1.5, 0.01
"""What ships may be this much further from the float network than its twin, in shares of the logits' spread. On four networks
the two distances agreed to 3 %; a file whose int8 was misread was 1.6 to 6 times as far."""


def quantize(job: Job) -> dict[str, Any]:
    """Write the fp16-typed Q/DQ file, its fp32-typed twin, and both ``model.json``.

    Raises:
        AlreadyQuantized: the trunk holds quantization nodes.
        CalibrationNotFinite: the float network answers a calibration image with NaN or infinity.
        HalfOverflow: a weight or an activation is beyond fp16's range.
        OpsetTooLowForHalf: the trunk's opset is below 19.
        UnsignedQuantization, NonZeroZeroPoint, QuantizedBias, PerChannelAxis, OnnxBeyondReader: the file would not build rightly.
        TwinDisagrees: what ships is much further from the float network than its twin is.
    """
    if job.candidate.method is Method.AWARE_TRAINING:
        return _learned(job)
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_answers(job, partial(logits_of, job.onnx))
    feeds = Feeds(trunk.graph.input[0].name, job.feeds())
    attention = attention_products(trunk)
    kept = list(dict.fromkeys((*(layer.name for layer in job.kept), *attention)))
    carried = carry_half_qdq(symmetric_qdq(job.onnx, feeds, kept))
    write_pair(job, round_between(carried), type_half(carried))
    facts = _facts(carried)
    attention = [name for name in attention if name in facts["float_layers"]]
    return {**facts, "attention": attention, "calibration": "largest magnitude", "distance_from_float": distances(job)}


def _learned(job: Job) -> dict[str, Any]:
    """Of a network that learned to be rounded as TensorRT rounds: nothing is calibrated, its own Q/DQ file is carried."""
    model = load_model(job.onnx)
    refuse_learned_overflow(model)
    carried = carry_half_qdq(model)
    write_pair(job, round_between(carried), type_half(carried))
    learned = "none: ranges are those that the network learned with"
    return {**_facts(carried), "calibration": learned, "distance_from_learned": distances(job, UNFUSED)}


def _facts(carried: onnx.ModelProto) -> dict[str, Any]:
    return {
        "form": "Q/DQ typed fp16, float32 at input and output",
        "quantized_tensors": sum(node.op_type == "QuantizeLinear" for node in carried.graph.node),
        "float_layers": float_layers(carried),
        "twin": "the same integers and scales in fp32 with Q/DQ fusion off; activations are rounded to fp16 after each layer",
        "twin_omits": "the order in which the device's kernels add",
    }


def symmetric_qdq(trunk: Path, feeds: CalibrationDataReader, kept: Sequence[str] = ()) -> onnx.ModelProto:
    """The trunk with symmetric int8 Q/DQ at the inputs of its multiplying nodes, typed fp32.

    ``trunk``: a float ONNX model with one input. ``kept``: multiplying nodes that get none, and so are half precision in what
    ships.
    """
    return quantized(
        trunk,
        feeds,
        op_types_to_quantize=list(WEIGHTED),
        nodes_to_exclude=list(kept),
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": list(WEIGHTED),
        },
    )


def distances(job: Job, asked_with: Mapping[str, str] | None = None) -> dict[str, float]:
    """How far the written pair is from the job's own file on calibration images: root mean square over the logits' spread.

    The two differ from each other by about as much: where half precision moves a number across the middle between two steps,
    the integer is another one. So it is the distances that are compared. Both files run in ONNX Runtime with Q/DQ fusion off,
    where the fp16 one computes what it says; with fusion on, garbage was seen.

    ``asked_with``: session options for the job's own file, where that is a quantized one too. Raises TwinDisagrees: what ships is
    much further away, or answers NaN.
    """
    feed = np.concatenate([job.feed(index) for index in range(min(COMPARED_IMAGES, len(job.pixels)))])
    asked = logits_of(job.onnx, feed, asked_with or {})
    files = {"ships": job.out / "model.onnx", "twin": job.out / TWIN_FOLDER / "model.onnx"}
    away = {name: _distance(asked, logits_of(path, feed, UNFUSED)) for name, path in files.items()}
    # Written so that a NaN, which is neither above nor below, is refused too.
    if not away["ships"] <= _FACTOR * away["twin"] + _FLOOR:
        raise TwinDisagrees(candidate=job.candidate.id, ships=away["ships"], twin=away["twin"], images=len(feed))
    return {name: round(value, 6) for name, value in away.items()}


def _distance(asked: npt.NDArray[np.float32], answered: npt.NDArray[np.float32]) -> float:
    # Of answers that are all one number there is no spread; that they tell nothing is found where the golden ones are made.
    return float(np.sqrt(np.mean((asked - answered) ** 2)) / (np.ptp(asked) or 1.0))

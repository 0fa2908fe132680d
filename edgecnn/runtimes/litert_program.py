"""Run LiteRT's libraries in a separate process, so that a crash does not end the build and their output is not shown.

- ``quantize FLOAT.tflite FEED.npy HOW.json INT8.tflite``: INT8 with float input and output, ranges from the feed
- ``halve FLOAT.tflite FP16.tflite``: fp16 weights
- ``answer MODEL.tflite FEED.npy LOGITS.npy``: the logits, without code of the runner, which must reproduce them

A feed is float32 (N, H, W, 3), logits are float32 (N, classes). HOW has ``in_float``, the tensors whose operators stay in float,
and ``ranges``, which replace the smallest and largest values of the feed, by tensor.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np


def quantize(source: str, feed: str, how: str, made: str) -> None:
    """Write INT8 by LiteRT's quantizer: a scale for each output channel of the weights, one for each tensor of activations.

    The ranges are the smallest and largest values, as in the other runtimes. The quantizer's default is a moving average, in
    which the last images count most: LeNet-5 on the demo lost 7.4 points by it, and none by the extremes.
    """
    from litert_quantizer import calibrator, qtyping, quantizer, recipe, recipe_manager
    from litert_quantizer.utils import qsv_utils

    request = json.loads(Path(how).read_text(encoding="utf-8"))
    work = quantizer.Quantizer(source)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    operations = qtyping.TFLOperationName
    left_in_float = (operations.INPUT, operations.OUTPUT, operations.PADV2, operations.SELECT_V2)
    for operation in left_in_float:  # the quantizer gives constants of PADV2 and SELECT_V2 scales that do not fit them
        work.update_quantization_recipe(regex=".*", operation_name=operation, algorithm_key="no_quantize")
    for tensor in request["in_float"]:  # and the numbered steps of its operator
        scope = rf"(^|;){re.escape(tensor)}([/:]\d+)*;"
        work.update_quantization_recipe(
            regex=scope, operation_name=qtyping.TFLOperationName.ALL_SUPPORTED, algorithm_key="no_quantize"
        )
    watching = calibrator.Calibrator(
        source,
        num_threads=1,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    (signature, ports), *_ = _open_model(source).get_signature_list().items()
    images = [{ports["inputs"][0]: image[None]} for image in np.load(feed, mmap_mode="r")]
    watching.calibrate({signature: images}, recipe_manager.RecipeManager())
    ranges = watching.get_model_qsvs()
    for tensor, (low, high) in request["ranges"].items():
        if tensor in ranges:
            ranges[tensor] = {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
    work.quantize(ranges).export_model(made)


def halve(source: str, made: str) -> None:
    """Write fp16 weights by LiteRT's quantizer. The session that opens the file decides whether the arithmetic is fp16 too."""
    from litert_quantizer import qtyping, quantizer

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    work = quantizer.Quantizer(source)
    work.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT),
        algorithm_key=quantizer.AlgorithmName.FLOAT_CASTING,
    )
    work.quantize().export_model(made)


def answer(model: str, feed: str, logits: str) -> None:
    """Write the logits of a feed, one image a call."""
    network = _open_model(model)
    network.allocate_tensors()
    (input_,), (output,) = network.get_input_details(), network.get_output_details()
    answers = []
    for image in np.load(feed, mmap_mode="r"):
        network.set_tensor(input_["index"], np.ascontiguousarray(image[None]))
        network.invoke()
        answers.append(network.get_tensor(output["index"])[0])
    np.save(logits, np.stack(answers).astype(np.float32))


def _open_model(model: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=model)


if __name__ == "__main__":
    verbs: dict[str, Any] = {"quantize": quantize, "halve": halve, "answer": answer}
    verbs[sys.argv[1]](*sys.argv[2:])

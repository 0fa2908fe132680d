"""Runs LiteRT's own libraries in a separate process: a crash of theirs ends no build, and what they print is not seen.

    quantize FLOAT.tflite FEED.npy INT8.tflite      # full INT8 but for its two ends, ranges from the feed
    halve FLOAT.tflite FP16.tflite                  # weights in half precision
    answer MODEL.tflite FEED.npy LOGITS.npy         # by no code of the runner, which must reproduce it

A feed is float32 (N, H, W, 3), logits float32 (N, classes).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def quantize(source: str, feed: str, made: str) -> None:
    """By LiteRT's quantizer: weights with a scale for each output channel, activations with one for each tensor."""
    from litert_quantizer import qtyping, quantizer, recipe

    work = quantizer.Quantizer(source)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    kept = (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT, qtyping.TFLOperationName.PADV2)
    for each in kept:  # of the last its scales would not fit its number
        work.update_quantization_recipe(regex=".*", operation_name=each, algorithm_key="no_quantize")
    (key, ends), *_ = _opened(source).get_signature_list().items()
    pictures = [{ends["inputs"][0]: picture[None]} for picture in np.load(feed, mmap_mode="r")]
    work.quantize(work.calibrate({key: pictures})).export_model(made)


def halve(source: str, made: str) -> None:
    """By LiteRT's quantizer. Whether the arithmetic is half as well is for who opens the file to say."""
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
    """One picture a call."""
    network = _opened(model)
    network.allocate_tensors()
    (taken,), (given,) = network.get_input_details(), network.get_output_details()
    answers = []
    for picture in np.load(feed, mmap_mode="r"):
        network.set_tensor(taken["index"], np.ascontiguousarray(picture[None]))
        network.invoke()
        answers.append(network.get_tensor(given["index"])[0])
    np.save(logits, np.stack(answers).astype(np.float32))


def _opened(model: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=model)


if __name__ == "__main__":
    verbs: dict[str, Any] = {"quantize": quantize, "halve": halve, "answer": answer}
    verbs[sys.argv[1]](*sys.argv[2:])

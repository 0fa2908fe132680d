"""fp32, fp16 and INT8 for LiteRT: our writer makes the fp32 FlatBuffer from the trunk, LiteRT's quantizer the others from that.

The writer changes the layout of every layer, so its network is compared with the trunk first. For a network that learned its
rounding, the float network is written and the quantizer gets the learned ranges.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from ai_edge_litert import schema_py_generated as schema

from edgecnn.graph.float_nodes import attention_products, float_nodes
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_file import load_model, require_unquantized, save_model
from edgecnn.graph.quantization_nodes import Ranges, remove_rounding
from edgecnn.runtimes.checks import check_converted, distance_from_trunk
from edgecnn.runtimes.job import Job, require_finite_on_calibration
from edgecnn.runtimes.litert import ENTRY, WRITER, logits_of, run_litert_program, write_model_file
from edgecnn.runtimes.litert_writer.writer import write_model
from edgecnn.runtimes.onnxruntime_files import logits_of as trunk_logits_of
from edgecnn.runtimes.protocol import OutputCheck
from edgecnn.store.failures import prefer_system_error
from edgecnn.values.candidate import Method, Precision

_ACTIVATION_INPUT = {
    schema.BuiltinOperator.CONV_2D: 0,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 0,
    schema.BuiltinOperator.FULLY_CONNECTED: 0,
    schema.BuiltinOperator.BATCH_MATMUL: 0,
    schema.BuiltinOperator.TRANSPOSE_CONV: 2,
}
"""Operators that multiply, and the index of the input with the activations."""


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.tflite`` and ``model.json``.

    Raises:
        ALREADY_QUANTIZED: the trunk holds quantization nodes.
        CALIBRATION_NOT_FINITE: the network's logits of an image hold NaN or infinity.
        CONVERTER_FAILED: the quantizer made no file, or the model is larger than a FlatBuffer.
        OUTPUTS_DIFFER: the outputs of the written network differ from the trunk's.
        LAYER_NOT_CONVERTED: LiteRT has no operator for a layer.
    """
    candidate, made = job.candidate, job.out / ENTRY
    with tempfile.TemporaryDirectory(prefix="edgecnn-litert-") as name:
        float_model, ranges = Path(name) / ENTRY, Ranges()
        trunk = load_model(job.onnx)
        if candidate.method is Method.AWARE_TRAINING:
            ranges = remove_rounding(trunk)
            unrounded = Path(name) / "float.onnx"
            save_model(trunk, unrounded)
            check = OutputCheck("taking the rounding out", Precision.INT8)
            distance_from_trunk(job, check, lambda pixels: trunk_logits_of(unrounded, job.normalization.feed(pixels)))
            job = replace(job, onnx=unrounded)
        require_unquantized(trunk, job.onnx)
        require_finite_on_calibration(job, lambda feed: trunk_logits_of(job.onnx, feed))
        write_model(job.onnx, candidate, float_model)
        facts: dict[str, Any] = {"format": "TensorFlow Lite FlatBuffer"}
        if candidate.precision is not Precision.FP32:  # an fp32 file is compared by ``check_files``
            facts["distance_of_float_from_trunk"] = check_converted(
                job, WRITER, lambda feed: logits_of(float_model, _channels_last(feed), candidate.id)
            )
        if candidate.precision is Precision.INT8:
            _quantize_to_int8(job, trunk, float_model, ranges)
            products, counted = _float_products(made.read_bytes()), mac_table(trunk).layers
            layers = [layer.name for layer in counted if products.intersection(layer.outputs)]
            attention = [name for name in attention_products(trunk) if name in layers]
            facts |= {"calibration": "smallest and largest value", "float_layers": layers, "attention": attention}
            facts["quantized_layers"] = len(counted) - len(layers)
        elif candidate.precision is Precision.FP16:
            run_litert_program("halve", (float_model, made), made, candidate.id)
        else:
            shutil.copyfile(float_model, made)
        write_model_file(job.onnx, candidate, job.out)
    return facts


def _quantize_to_int8(job: Job, trunk: onnx.ModelProto, float_model: Path, ranges: Ranges) -> None:
    """Write the INT8 model from the float model. The program reads its feed and its request in the float model's folder.

    ``ranges``: the learned ranges, by tensor. Other tensors get the ranges of the calibration images.
    """
    feed, how, made = float_model.with_name("feed.npy"), float_model.with_name("how.json"), job.out / ENTRY
    images = np.concatenate([_channels_last(batch) for batch in job.feeds()])
    with prefer_system_error(feed, images.nbytes):
        np.save(feed, images)
    in_float = set(float_nodes(trunk, job.kept))
    tensors = [tensor for node in trunk.graph.node if node.name in in_float for tensor in node.output]
    tensors += [tensor for layer in job.kept for tensor in layer.outputs]  # their names after a fused activation
    how.write_text(json.dumps({"in_float": list(dict.fromkeys(tensors)), "ranges": ranges}), encoding="utf-8")
    run_litert_program("quantize", (float_model, feed, how, made), made, job.candidate.id)


def _float_products(content: bytes) -> set[str]:
    """Return the output tensors of the operators that multiply floats."""
    model = schema.Model.GetRootAs(content)
    graph, names = model.Subgraphs(0), set()
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        activations = _ACTIVATION_INPUT.get(model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode())
        if activations is not None and graph.Tensors(operator.Inputs(activations)).Type() == schema.TensorType.FLOAT32:
            names.add(graph.Tensors(operator.Outputs(0)).Name().decode())
    return names


def _channels_last(feed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert (N, 3, H, W) to (N, H, W, 3)."""
    return np.ascontiguousarray(feed.transpose(0, 2, 3, 1))

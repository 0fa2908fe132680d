"""Make OpenVINO's INT8 files by NNCF's post-training quantization of the converted model, and run OpenVINO models here.

A symmetric scheme is NNCF's preset ``performance``: unsigned for activations that are never negative, signed for others. The
preset ``mixed`` was not better: EfficientNet-Lite0 agreed with fp32 on 92.7 % of 300 images (symmetric 93.7 %), MobileNetV3-Small
on 94.0 % of 1,000 (93.7 %), with latencies within 6 % of each other.

NNCF keeps squeeze-excite in float if it recognises it (a mean, two convolutions with biases, SiLU or ReLU between them, a
sigmoid). The weights of these convolutions are stored in INT8 all the same: float products are as fast as before, and the file
of EfficientNet-B0 is 29 % of fp32 instead of 40 %. Matrix products keep float weights: with INT8 weights, OpenVINO's plugin
would also round their activations at run time, and report float.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.graph import ALREADY_QUANTIZED, LAYER_NOT_FOUND
from edgecnn.graph.float_nodes import attention_nodes, attention_products
from edgecnn.graph.onnx_file import load_model
from edgecnn.runtimes.checks import check_converted
from edgecnn.runtimes.job import Job, require_finite_on_calibration
from edgecnn.runtimes.openvino import BACKEND, F32, convert_trunk, import_nncf, import_openvino, onnx_name, save_ir
from edgecnn.values.candidate import Scheme


def logits_of(model: Any, feed: npt.NDArray[Any], options: Mapping[str, str]) -> npt.NDArray[np.float32]:
    """Return the logits (N, classes) of an ``openvino.Model``, one image a call. ``options``: properties of the CPU plugin."""
    compiled = import_openvino().Core().compile_model(model, "CPU", dict(options))
    request = compiled.create_infer_request()
    answers = []
    for index in range(len(feed)):
        request.infer({0: feed[index : index + 1]})
        answers.append(request.get_output_tensor(0).data.astype(np.float32, copy=True))
    return np.concatenate(answers)


_CONVOLUTIONS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
_MULTIPLIERS = (*_CONVOLUTIONS, "MatMul")
_PASS_THROUGH = ("MaxPool", "Reshape", "Squeeze", "Unsqueeze", "Transpose")


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.xml``, ``model.bin`` and ``model.json``; return facts such as the multiplying layers that stayed in float.

    Raises:
        ALREADY_QUANTIZED: the trunk has quantization nodes.
        CALIBRATION_NOT_FINITE: the float network's logits of a calibration image hold NaN or infinity.
        OUTPUTS_DIFFER: the outputs of the converted float network differ from the trunk's.
        LAYER_NOT_FOUND: the converted model lacks a layer that must stay in float.
    """
    if job.candidate.scheme is None:
        raise ValueError(f"{job.candidate.id} has no scheme")
    model = convert_trunk(job.onnx)
    for op in model.get_ordered_ops():
        if op.get_type_name() == "FakeQuantize":
            raise ALREADY_QUANTIZED(path=job.onnx, node=op.get_friendly_name(), op="FakeQuantize")
    require_finite_on_calibration(job, partial(logits_of, model, options=F32))
    away = check_converted(job, "OpenVINO's converter", partial(logits_of, model, options=F32))
    trunk = load_model(job.onnx)
    kept = [*_kept_ops(model, job), *_attention_ops(model, trunk)]
    quantized = _quantize_by_nncf(model, job, job.candidate.scheme, kept)
    multiplying = [op for op in quantized.get_ordered_ops() if op.get_type_name() in _MULTIPLIERS]
    in_float = [op.get_friendly_name() for op in multiplying if _activation_source(op).get_type_name() != "FakeQuantize"]
    small = [name for name in _float_convolutions(quantized) if name not in kept]
    if small:
        quantized = _compress_weights(quantized, sorted({*kept, *in_float} - {*small}))
    classes = save_ir(quantized, job.out / "model.xml")
    job.write_model_file(BACKEND.model_file(job.candidate, classes))
    return {
        "format": "OpenVINO IR",
        "distance_of_float_from_trunk": away,
        "calibration": "NNCF's default ranges, fast bias correction",
        "float_layers": in_float,
        "quantized_layers": len(multiplying) - len(in_float),
        "int8_weights_of_float_layers": small,
        "attention": _float_attention(trunk, in_float),
    }


def _quantize_by_nncf(model: Any, job: Job, scheme: Scheme, kept: Sequence[str]) -> Any:
    nncf = import_nncf()
    presets = {True: nncf.QuantizationPreset.PERFORMANCE, False: nncf.QuantizationPreset.MIXED}
    # Half-range weights keep u8 x s8 sums inside 16 bits on processors without VNNI, and cost accuracy elsewhere.
    overflow = nncf.OverflowFix.ENABLE if scheme.reduced_range else nncf.OverflowFix.DISABLE
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars go to stdout, where results belong
        return nncf.quantize(
            model,
            nncf.Dataset(range(len(job.pixels)), job.feed),
            preset=presets[scheme.activation_symmetric],
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(job.pixels),
            ignored_scope=nncf.IgnoredScope(names=list(kept)) if kept else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow),
        )


def _compress_weights(model: Any, but: Sequence[str]) -> Any:
    """Return the model with INT8 instead of float weights, a scale for each channel. ``but``: layers that keep float weights."""
    nncf = import_nncf()
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.compress_weights(
            model, mode=nncf.CompressWeightsMode.INT8_SYM, ignored_scope=nncf.IgnoredScope(names=list(but)) if but else None
        )


def _kept_ops(model: Any, job: Job) -> list[str]:
    """Return the names in the converted model of the layers that stay in float, by their node or their output tensors."""
    ops = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in _MULTIPLIERS]
    by_onnx_name = {onnx_name(name): name for name in ops}
    names = []
    for layer in job.kept:
        op = next((by_onnx_name[name] for name in (layer.name, *layer.outputs) if name in by_onnx_name), None)
        if op is None:
            raise LAYER_NOT_FOUND(candidate=job.candidate.id, layer=layer.name)
        names.append(op)
    return names


def _float_attention(trunk: Any, in_float: Sequence[str]) -> list[str]:
    """Return the attention products that are float in the model, by their names in the trunk."""
    names, outputs = {onnx_name(name) for name in in_float}, {node.name: set(node.output) for node in trunk.graph.node}
    return [name for name in attention_products(trunk) if names & {name, *outputs[name]}]


def _attention_ops(model: Any, trunk: Any) -> list[str]:
    """Return the names of the attention's nodes in the converted model."""
    names = set(attention_nodes(trunk))
    tensors = {name for node in trunk.graph.node if node.name in names for name in node.output}
    ops = (op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() not in ("Constant", "Result"))
    return [name for name in ops if onnx_name(name) in names | tensors]


def _float_convolutions(model: Any) -> list[str]:
    """Return the convolutions whose weights the file would store in float."""
    convolutions = [op for op in model.get_ordered_ops() if op.get_type_name() in _CONVOLUTIONS]
    return [op.get_friendly_name() for op in convolutions if _is_float(op.input_value(1).get_node())]


def _is_float(weights: Any) -> bool:
    """Whether weights are float. Weights behind a FakeQuantize become INT8 when the file is written."""
    kind = weights.get_type_name()
    if kind == "FakeQuantize":
        return False
    return bool(weights.get_element_type().is_real()) if kind == "Constant" else _is_float(weights.input_value(0).get_node())


def _activation_source(op: Any) -> Any:
    """Return the op that makes an op's activations, skipping ops that only move numbers."""
    before = op.input_value(0).get_node()
    return _activation_source(before) if before.get_type_name() in _PASS_THROUGH else before

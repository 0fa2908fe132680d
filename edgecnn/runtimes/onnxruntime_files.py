"""Make ONNX Runtime's INT8 and fp16 files, and run ONNX files on this machine.

INT8 is Q/DQ with unsigned asymmetric activations and signed weights with a scale for each channel. Per-tensor weights cost much
accuracy (EfficientNet-Lite0 agreed with fp32 on 0.77 of images, per-channel on 0.92), and signed symmetric activations keep
every ReLU6 as a separate clip. Ranges are the smallest and largest values. fp16 is the trunk typed fp16, for the kernels of
64-bit Arm; other processors run that file in fp32 with casts.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime import InferenceSession, set_default_logger_severity
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from edgecnn.errors.graph import CALIBRATION_RANGE_NOT_FINITE, HALF_REFUSED
from edgecnn.errors.wording import first_line
from edgecnn.graph.checks import accepted_batches, run_logits, session_of
from edgecnn.graph.float_nodes import WEIGHTED, attention_products, float_nodes
from edgecnn.graph.half_precision import round_to_half, type_half
from edgecnn.graph.missing_operator import name_missing_operator
from edgecnn.graph.onnx_file import class_count, fixed_batch, load_model, require_unquantized, save_model
from edgecnn.graph.quantization_nodes import unshare_constants
from edgecnn.runtimes.job import Job, require_finite_on_calibration
from edgecnn.runtimes.onnxruntime import BACKEND
from edgecnn.values.candidate import Scheme


def logits_of(path: Path | bytes, feed: npt.NDArray[Any], options: Mapping[str, str] | None = None) -> npt.NDArray[np.float32]:
    """Return the logits (N, classes) of an ONNX file or of its bytes. ``options``: session configuration entries (``session.…``).

    Raises OPERATOR_MISSING: ONNX Runtime lacks one of the file's operators.
    """
    with name_missing_operator(path):
        session = session_of(path, entries=options)
    return run_logits(session, feed)


def quantize(job: Job) -> dict[str, Any]:
    """Write ``model.onnx`` and ``model.json``; return facts such as the multiplying nodes that stayed in float.

    Raises:
        ALREADY_QUANTIZED: the trunk has quantization nodes.
        CALIBRATION_NOT_FINITE: the float network's logits of a calibration image hold NaN or infinity.
        CALIBRATION_RANGE_NOT_FINITE: an inner tensor holds NaN or infinity, and the logits do not.
    """
    if job.candidate.scheme is None:
        raise ValueError(f"{job.candidate.id} has no scheme")
    trunk = load_model(job.onnx)
    require_unquantized(trunk, job.onnx)
    require_finite_on_calibration(job, partial(logits_of, job.onnx))
    made = static_qdq(job, job.candidate.scheme, trunk)
    _require_finite_ranges(made)
    save_model(made, job.out / "model.onnx")
    job.write_model_file(BACKEND.model_file(job.candidate, class_count(trunk)))
    in_float = float_layers(made)
    attention = [name for name in attention_products(trunk) if name in in_float]
    return {
        "format": "Q/DQ",
        "calibration": "smallest and largest value",
        "float_layers": in_float,
        "quantized_layers": quantized_layers(made),
        "attention": attention,
    }


def float_layers(model: onnx.ModelProto) -> list[str]:
    """Return the multiplying nodes whose input or weights do not come from a DequantizeLinear."""
    dequantized = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return [node.name for node in model.graph.node if node.op_type in WEIGHTED and not dequantized.issuperset(node.input[:2])]


def quantized_layers(model: onnx.ModelProto) -> int:
    """Return the number of multiplying nodes whose input and weights come from a DequantizeLinear."""
    return sum(node.op_type in WEIGHTED for node in model.graph.node) - len(float_layers(model))


def static_qdq(job: Job, scheme: Scheme, trunk: onnx.ModelProto) -> onnx.ModelProto:
    """Return the trunk with Q/DQ by ONNX Runtime's quantizer, except for ``float_nodes``."""
    types = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
    return quantize_statically(
        job.onnx,
        job.feeds(),
        per_channel=scheme.weight_granularity == "per-channel",
        reduce_range=scheme.reduced_range,
        activation_type=types[scheme.activation_dtype],
        weight_type=types[scheme.weight_dtype],
        nodes_to_exclude=float_nodes(trunk, job.kept),
        extra_options={"ActivationSymmetric": scheme.activation_symmetric, "QuantizeBias": scheme.bias == "int32"},
    )


def quantize_statically(trunk: Path, feeds: Iterable[npt.NDArray[Any]], **options: Any) -> onnx.ModelProto:
    """Return a trunk with Q/DQ by ONNX Runtime's static quantizer and min-max ranges.

    ``feeds``: calibration images, float32 (N, 3, H, W). ``options``: the quantizer's arguments.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-qdq-") as folder, _hide_known_warnings():
        written, model = Path(folder) / "qdq.onnx", load_model(trunk)
        reader = Feeds(model.graph.input[0].name, accepted_batches(feeds, fixed_batch(model)))
        options |= {"quant_format": QuantFormat.QDQ, "calibrate_method": CalibrationMethod.MinMax}
        if unshare_constants(model.graph):
            trunk = Path(folder) / "trunk.onnx"
            save_model(model, trunk)
        quantize_static(trunk, written, reader, **options)
        return load_model(written)


def _require_finite_ranges(model: onnx.ModelProto) -> None:
    """Check the scales. Unlike other INT8 methods, this one takes the range of every convolution's output, even if infinite."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        scale = constants.get(node.input[1]) if node.op_type == "QuantizeLinear" else None
        if scale is not None and not np.isfinite(onnx.numpy_helper.to_array(scale)).all():
            raise CALIBRATION_RANGE_NOT_FINITE(tensor=node.input[0])


class Feeds(CalibrationDataReader):  # type: ignore[misc]
    """Calibration images in batches, as ONNX Runtime's quantizer reads them."""

    def __init__(self, name: str, feeds: Iterator[npt.NDArray[np.float32]]) -> None:
        self._name = name
        self._feeds = feeds

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """Return the next batch, or None at the end."""
        feed = next(self._feeds, None)
        return None if feed is None else {self._name: feed}


@contextmanager
def _hide_known_warnings() -> Iterator[None]:
    """Hide warnings that always occur: advice on shape inference and folding, which the exporter has done, and the missing second
    axis of the scale of a batch normalization that is not fused."""
    root = logging.getLogger()
    warnings, errors = 2, 3  # ONNX Runtime's severities; the first is its default
    root.addFilter(_is_unknown_warning)
    set_default_logger_severity(errors)  # else it prints a line for each unused weight
    try:
        yield
    finally:
        root.removeFilter(_is_unknown_warning)
        set_default_logger_severity(warnings)


def _is_unknown_warning(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    lone_scale = "is out-of-range for weight" in message and message.endswith("with rank 1")
    return not lone_scale and "pre-processing before quantization" not in message


def write_half(job: Job) -> dict[str, Any]:
    """Write ``model.onnx`` and ``model.json``.

    Raises:
        ALREADY_QUANTIZED: the trunk has quantization nodes.
        HALF_REFUSED: the converter, onnx's checker or ONNX Runtime refuses the network in fp16.
    """
    trunk, path = load_model(job.onnx), job.out / "model.onnx"
    require_unquantized(trunk, job.onnx)
    carried = round_to_half(trunk, job.wide)
    try:  # none of the three has an exception class
        save_model(type_half(carried, job.wide), path)
        onnx.checker.check_model(path, full_check=True)
        InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise HALF_REFUSED(candidate=job.candidate.id, because=first_line(error)) from error
    job.write_model_file(BACKEND.model_file(job.candidate, class_count(trunk)))
    return {"form": job.half_form}

"""OpenVINO's IR from the trunk, written so that the same model is the same bytes whenever and wherever it was converted.

OpenVINO names the nodes that it makes itself after a counter of the whole process (``Constant_41473``), so the same conversion
gives another file the second time; those names are numbered anew, in the order of the graph, before it is saved.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgecnn.backends.openvino_import import import_openvino
from edgecnn.backends.operators import operators_named
from edgecnn.values.candidate import Runtime

_GENERATED = re.compile(r"^(?!Conv_|ConvTranspose_|Gemm_|MatMul_)([A-Z][A-Za-z0-9]*)_([0-9]+)(?=$|/)")
"""Kind and count, alone or before what NNCF appends. Multiplying layers keep their names: residency joins by them."""


def convert_trunk(onnx: Path) -> Any:
    """An ``openvino.Model`` of the trunk, in float32, with the passes that ``read_model`` leaves out.

    ``read_model`` would not fuse Sigmoid and Mul to Swish before quantizers are placed, which then keep the two apart: measured
    on EfficientNet-B0, INT8 is a third slower so.

    Raises:
        OperatorMissing: OpenVINO lacks one of the trunk's operators.
    """
    with operators_named(onnx, Runtime.OPENVINO):
        return import_openvino().convert_model(onnx)


def save_ir(model: Any, path: Path) -> int:
    """Write ``path`` (``.xml``) and its ``.bin`` with weights as they are, not halved to fp16; returns the number of classes."""
    number_names_anew(model)
    if model.has_rt_info(["conversion_parameters"]):
        del model.get_rt_info()["conversion_parameters"]
    import_openvino().save_model(model, path, compress_to_fp16=False)
    return int(model.output(0).get_partial_shape()[1].get_length())


def number_names_anew(model: Any) -> None:
    """Replace the process-wide counter in generated names by one that starts at 0 in this model."""
    numbers: dict[str, int] = {}

    def renumber(found: re.Match[str]) -> str:
        return f"{found[1]}_{numbers.setdefault(found[0], len(numbers))}"

    for op in model.get_ordered_ops():
        op.set_friendly_name(_GENERATED.sub(renumber, op.get_friendly_name()))

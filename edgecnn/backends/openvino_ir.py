"""OpenVINO's IR from the trunk, written so that the same model is the same bytes whenever and wherever it was converted.

OpenVINO names the nodes that it makes itself after a counter of the whole process (``Constant_41473``), so the same conversion
gives another file the second time; those names are numbered anew, in the order of the graph, before it is saved.

And written without what says nothing: of an INT8 MobileNetV2 with ten classes a ninth of the bytes were the graph's text. A tenth
of that described constants which a quantizer holds twice, once for what it is given and once for what it makes; a sixth of the
rest was indentation.
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
_INDENTATION = re.compile(rb"\n[\t ]*(?=<|$)")
"""Between tags; what a tag or a text holds stays."""
_RANGE_ENDS = ((1, 3), (2, 4))
"""A FakeQuantize's ports: the low and the high end of what it is given, each with that of what it makes."""


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
    share_ranges(model)
    number_names_anew(model)
    if model.has_rt_info(["conversion_parameters"]):
        del model.get_rt_info()["conversion_parameters"]
    import_openvino().save_model(model, path, compress_to_fp16=False)
    path.write_bytes(_INDENTATION.sub(b"", path.read_bytes()))
    return int(model.output(0).get_partial_shape()[1].get_length())


def share_ranges(model: Any) -> None:
    """Let each FakeQuantize whose output has its input's range take both from the same constants. No number changes."""
    for op in model.get_ordered_ops():
        if op.get_type_name() != "FakeQuantize":
            continue
        for given, made in _RANGE_ENDS:
            first, second = (op.input_value(port).get_node() for port in (given, made))
            if first.get_friendly_name() != second.get_friendly_name() and _same_constant(first, second):
                op.input(made).replace_source_output(op.input_value(given))


def _same_constant(first: Any, second: Any) -> bool:
    if not first.get_type_name() == second.get_type_name() == "Constant":
        return False
    described = [(each.get_element_type(), each.get_output_shape(0)) for each in (first, second)]
    return described[0] == described[1] and first.data.tobytes() == second.data.tobytes()


def number_names_anew(model: Any) -> None:
    """Replace the process-wide counter in generated names by one that starts at 0 in this model."""
    numbers: dict[str, int] = {}

    def renumber(found: re.Match[str]) -> str:
        return f"{found[1]}_{numbers.setdefault(found[0], len(numbers))}"

    for op in model.get_ordered_ops():
        op.set_friendly_name(_GENERATED.sub(renumber, op.get_friendly_name()))

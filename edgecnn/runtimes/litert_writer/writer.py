"""Convert an ONNX network to a LiteRT model for one image a call.

No runtime is imported: the doctor tries each runtime in a separate process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper

from edgecnn.errors.devices import CONVERTER_FAILED, layer_not_converted
from edgecnn.graph.onnx_file import load_model
from edgecnn.runtimes.litert import ENTRY, WRITER, write_model_file
from edgecnn.runtimes.litert_writer import axes, elementwise, images, sums, windows  # noqa: F401 - each registers its rules
from edgecnn.runtimes.litert_writer.conversion import RULES, Activation, Conversion, Node, NoForm, channels_last, onnx_order
from edgecnn.runtimes.litert_writer.elementwise import clip_bounds, hard_swish_of_parts
from edgecnn.runtimes.litert_writer.flatbuffer import BYTES_MAX, TooLarge
from edgecnn.runtimes.litert_writer.preparation import constant_value, prepare
from edgecnn.store.failures import prefer_system_error
from edgecnn.values.candidate import Candidate, Precision

_FUSED_INTO: Final = frozenset(
    {"Conv", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "MaxPool", "AveragePool", "BatchNormalization"}
)
_CLIPPED: Final = {
    (0.0, 6.0): schema.ActivationFunctionType.RELU6,
    (-1.0, 1.0): schema.ActivationFunctionType.RELU_N1_TO_1,
    (0.0, np.inf): schema.ActivationFunctionType.RELU,
}


class LayerWithoutForm(Exception):
    """Raised when LiteRT has no form of a layer."""

    def __init__(self, node: Node, why: str) -> None:
        super().__init__(f"{node.op} (layer {node.name}): {why}")
        self.node, self.why = node, why


def litert_model(model: onnx.ModelProto, *, splits_hard_swish: bool = False) -> bytes:
    """Return the FlatBuffer of a network. Its input is (1, H, W, C).

    Args:
        model: the ONNX network, with its weights. It may be changed.
        splits_hard_swish: write hard-swish as an addition and two products. XNNPACK has no INT8 kernel of it, and LiteRT's
            kernel took 6.5 of the 8.2 ms of MobileNetV3-Large.

    Raises:
        LayerWithoutForm: LiteRT has no form of a layer.
        TooLarge: a FlatBuffer cannot hold it.
    """
    rules = {**RULES, "HardSwish": hard_swish_of_parts} if splits_hard_swish else RULES
    if sum(4 * prod(tensor.dims) for tensor in model.graph.initializer) > BYTES_MAX:
        raise TooLarge
    model, shapes = prepare(model, rules)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in map(Node.read, graph.node):
        if node.op == "Constant":
            constants[node.outputs[0]] = constant_value(next(iter(node.attributes.values())))
        else:
            nodes.append(node)
    outputs = [output.name for output in graph.output]
    conversion = Conversion(shapes, constants, fuses=_fused_activations(nodes, outputs, constants), rules=rules)
    entries = [_add_input(conversion, value.name) for value in graph.input if value.name not in constants]
    for node in nodes:
        if node.name in conversion.fused:
            continue
        conversion.record(node)
        try:
            if node.op not in rules:
                raise NoForm("edgecnn has no rule for it")
            rules[node.op](conversion, node)
        except NoForm as error:
            raise LayerWithoutForm(node, str(error)) from error
        except (LookupError, TypeError, ValueError) as error:  # a form of the operator that its rule does not know
            raise LayerWithoutForm(node, f"edgecnn has no rule for this form of it ({type(error).__name__}: {error})") from error
    ends = [conversion.value(name, onnx_order(len(conversion.shape(name)))) for name in outputs]
    return conversion.network.serialize(entries, ends)


def _add_input(conversion: Conversion, name: str) -> int:
    rank = len(conversion.shape(name))
    return conversion.add_output(name, channels_last(rank) if rank > 2 else onnx_order(rank))


def _fused_activations(
    nodes: Sequence[Node], outputs: Sequence[str], constants: Mapping[str, npt.NDArray[Any]]
) -> Mapping[str, Activation]:
    """Return the activation to fuse, by value: the activation is the value's only reader, and its operator can fuse it."""
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    fuses = {}
    for node in nodes:
        name = node.outputs[0]
        if node.op in _FUSED_INTO and len(readers.get(name, ())) == 1 and name not in outputs:
            code = _fused_code(readers[name][0], constants)
            if code is not None:
                fuses[name] = Activation(code, readers[name][0])
    return fuses


def _fused_code(node: Node, constants: Mapping[str, npt.NDArray[Any]]) -> int | None:
    if node.op == "Relu":
        return int(schema.ActivationFunctionType.RELU)
    try:
        return _CLIPPED.get(clip_bounds(node, constants)) if node.op == "Clip" else None
    except NoForm:
        return None


def convert(onnx: Path, candidate: Candidate, out: Path) -> None:
    """Write ``model.tflite`` and ``model.json`` in fp32, without a check. Raises LAYER_NOT_CONVERTED, CONVERTER_FAILED."""
    write_model(onnx, candidate, out / ENTRY)
    write_model_file(onnx, candidate, out)


def write_model(onnx: Path, candidate: Candidate, made: Path) -> None:
    """Write an ONNX network as a float32 ``.tflite`` for one image a call, prepared for the candidate's precision.

    Raises LAYER_NOT_CONVERTED: a layer has no form. CONVERTER_FAILED: the model is larger than a FlatBuffer.
    """
    model = load_model(onnx)
    try:
        content = litert_model(model, splits_hard_swish=candidate.precision is Precision.INT8)
    except LayerWithoutForm as error:
        node = error.node
        raise layer_not_converted(
            converter=WRITER, candidate=candidate.id, layer=node.op, name=node.name, why=error.why
        ) from error
    except TooLarge as error:
        why = f"its weights take more than the {BYTES_MAX:,} bytes of a FlatBuffer"
        raise CONVERTER_FAILED(converter=WRITER, candidate=candidate.id, why=why) from error
    with prefer_system_error(made, len(content)):
        made.write_bytes(content)

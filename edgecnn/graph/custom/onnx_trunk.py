"""From a custom ONNX file to the trunk: opset 20, one image tensor in RGB NCHW float32, logits, any batch size.

Other conventions of the file (channels last, bytes, BGR) are handled inside the graph before its first node, so that everything
after the trunk is the same for every network. Its outputs become logits, float32, one row an image and one column a class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors.custom_model import custom_model_unusable
from edgecnn.errors.graph import OPSET_UNREACHABLE
from edgecnn.errors.wording import reason_in
from edgecnn.graph.constant_folding import compute_constants
from edgecnn.graph.custom.batch import BatchFixed, free_batch
from edgecnn.graph.custom.feeding import LUMA
from edgecnn.graph.custom.older_operators import convert_to_opset
from edgecnn.graph.custom.onnx_entry import (
    L1_NORMS,
    PROBABILITIES,
    inferred_dims,
    nodes_behind,
    replace_classical,
    scaled_by_number,
)
from edgecnn.graph.ensemble import LEAST
from edgecnn.graph.onnx_file import INPUT_NAME, IR_VERSION, OUTPUT_NAME, constants_of, messages_in, opset_of
from edgecnn.graph.quantization_nodes import unshare_constants
from edgecnn.values.custom_model import Channels, GraphEntry

OPSET = 20
LEAST_OPSET = 13
"""Per-channel DequantizeLinear needs opset 13. A file that cannot be converted to it cannot be quantized well either."""
BATCH = "batch"
_FREE_OR_ONE = "export it with a dynamic batch, or with a fixed batch of 1"
BLUE_FIRST = "edgecnn_blue_first"
"""The constant by which a trunk reverses the colours for a network that expects BGR."""
_CONSTANTS = {"Gather": BLUE_FIRST, "Mul": "edgecnn_luma", "ReduceSum": "edgecnn_colour_axis"}
"""Prefix of the operators before the network. Grey is the luma sum of the three colours, which are normalized alike before."""


def convert_to_trunk(
    model: onnx.ModelProto, entry: GraphEntry, channels: Channels, path: Path, *, keeps_batch: bool = False
) -> onnx.ModelProto:
    """Return the trunk of a custom model: ``image`` float32 (batch, 3, H, W) in RGB to ``logits`` float32 (batch, classes).

    A quantized model keeps its opset and its half precision: quantizing operators differ between opsets, and its scales have the
    precision in which it was quantized.

    A fixed batch is freed. If a batch of 1 cannot be freed, the trunk accepts one image a call.

    ``model``: as loaded, with its weights; it is unchanged. ``keeps_batch``: do not free a batch of 1. Raises OPSET_UNREACHABLE:
    its operators cannot be converted to an opset that the runtimes read. CustomModelUnusable: a batch above 1 cannot be freed.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    rank = len(inferred_dims(model, next(value for value in model.graph.output if value.name == entry.output)))
    _merge_imports(made)
    _remove_constant_inputs(made)
    _remove_other_outputs(made.graph, entry.output)
    replace_classical(made)
    if entry.quantized is None:
        _constant_nodes_to_initializers(made.graph)
        compute_constants(made)
        made = _convert_opset(made, path)
        _convert_to_float32(made.graph)
        _fill_pads_with_scalars(made.graph)
    else:
        unshare_constants(made.graph)
    end_in_logits(made.graph, entry, rank)
    rename_tensor(made.graph, entry.output, OUTPUT_NAME)
    _replace_input(made.graph, entry, channels)
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [BATCH, entry.classes]))
    made.graph.ClearField("value_info")
    return made if entry.batch is None else _freed(made, entry.batch, path, keeps_batch=keeps_batch)


def _freed(made: onnx.ModelProto, batch: int, path: Path, *, keeps_batch: bool) -> onnx.ModelProto:
    """Return the trunk for any batch size; for one image a call if the file's batch of 1 cannot be freed, or is to be kept.

    Raises CustomModelUnusable: a larger batch cannot be freed.
    """
    freed = onnx.ModelProto()
    freed.CopyFrom(made)
    try:
        if not keeps_batch:
            free_batch(freed, batch)
            return freed
    except BatchFixed as error:
        if batch > 1:
            because = f"its batch of {batch} is fixed, and its node {error} needs it"
            raise custom_model_unusable(path=path, because=because, hint=_FREE_OR_ONE) from error
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return made


def describe_changes(entry: GraphEntry, channels: Channels, opset: int, *, freed: bool = True) -> str:
    """Describe the changes to the file, as the beginning of a sentence. ``freed``: whether a fixed batch was freed."""
    changes = [f"opset {entry.opset} to {opset}"] if entry.opset != opset else []
    changes += ["channels put first"] if entry.layout == "NHWC" else []
    changes += ["bytes inside"] if entry.dtype == "uint8" else []
    changes += ["half precision made single"] if entry.dtype == "float16" and entry.quantized is None else []
    changes += ["blue first inside"] if channels == "bgr" else []
    changes += ["colours made grey inside"] if channels == "grey" else []
    changes += ["the bytes of its output scaled"] if entry.output_steps is not None else []
    changes += [f"its last {'sigmoid' if entry.one_share else 'softmax'} removed"] if entry.ends_in_softmax else []
    changes += ["its last sigmoid removed"] if entry.ends_in_sigmoid and not entry.ends_in_shares else []
    changes += [f"the logarithm of its {'odds' if entry.ends_in_sigmoid else 'shares'} taken"] if entry.ends_in_shares else []
    changes += [f"its batch of {entry.batch} freed"] if entry.batch is not None and freed else []
    return "with " + ", ".join(changes) if changes else "saved anew"


def _merge_imports(model: onnx.ModelProto) -> None:
    """Merge repeated imports of a domain, which scikit-learn's converter and ``onnx.compose`` write and the quantizer cannot
    read.
    """
    imports = {entry.domain if entry.domain != "ai.onnx" else "": entry.version for entry in reversed(model.opset_import)}
    if len(imports) < len(model.opset_import):
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in imports.items())


def _remove_other_outputs(graph: onnx.GraphProto, answer: str) -> None:
    """Remove outputs other than the class scores, such as a label, and the nodes that make them."""
    if len(graph.output) == 1:
        return
    kept = nodes_behind(graph, answer)
    del graph.node[:]
    graph.node.extend(kept)
    read = {name for node in messages_in(graph, onnx.NodeProto) for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in read or tensor.name == answer]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    outputs = [value for value in graph.output if value.name == answer]
    del graph.output[:]
    graph.output.extend(outputs)


def _remove_constant_inputs(model: onnx.ModelProto) -> None:
    """Remove constants from the inputs. Before IR 4 every weight was an input too, which keeps runtimes from folding it.

    The IR version states whether constants may be absent there, and the opset converter depends on it.
    """
    model.ir_version, graph = IR_VERSION, model.graph
    constants = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(kept)


def _constant_nodes_to_initializers(graph: onnx.GraphProto) -> None:
    """Turn Constant nodes into initializers. Some exporters (PaddlePaddle's) write weights as nodes, which passes and quantizers
    miss.
    """
    constants = {tensor.name for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Constant" and node.output[0] not in constants]:
        tensor = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if tensor is not None:
            graph.initializer.add().CopyFrom(tensor)
            graph.initializer[-1].name = node.output[0]
            graph.node.remove(node)


def _convert_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    opset = opset_of(model)
    if opset == OPSET:
        return model
    try:
        return convert_to_opset(model, OPSET)
    except Exception as error:  # noqa: BLE001 - the converter raises RuntimeError, ConvertError and others of its C++ core
        if LEAST_OPSET <= opset < OPSET:
            return model  # runtimes that read newer operators read older ones too
        raise OPSET_UNREACHABLE(path=path, opset=opset, wanted=OPSET, because=reason_in(error)) from error


def _fill_pads_with_scalars(graph: onnx.GraphProto) -> None:
    """Make the value of each Pad a scalar. Some exporters write one number in a list, which only ONNX Runtime accepts."""
    held = constants_of(graph)
    for number, node in enumerate(graph.node):
        value = held.get(node.input[2]) if node.op_type == "Pad" and len(node.input) > 2 else None
        if value is not None and list(value.dims) == [1]:
            node.input[2] = f"edgecnn_pad_{number}"
            graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(value).reshape(()), node.input[2]))


def has_half_precision(model: onnx.ModelProto) -> bool:
    """Return whether weights or casts have half precision, whatever the input's type."""
    return any(tensor.data_type == TensorProto.FLOAT16 for tensor in messages_in(model.graph, TensorProto)) or any(
        attribute.name == "to" and attribute.i == TensorProto.FLOAT16 for node in model.graph.node for attribute in node.attribute
    )


def _convert_to_float32(graph: onnx.GraphProto) -> None:
    """Convert half and double precision to single, because every accuracy drop and size is compared with an fp32 trunk."""
    others = (TensorProto.FLOAT16, TensorProto.DOUBLE)
    for tensor in list(messages_in(graph, TensorProto)):
        if tensor.data_type in others:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for node in messages_in(graph, onnx.NodeProto):
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i in others:
                attribute.i = TensorProto.FLOAT
    for value in messages_in(graph, onnx.ValueInfoProto):
        if value.type.tensor_type.elem_type in others:
            value.type.tensor_type.elem_type = TensorProto.FLOAT


def _replace_input(graph: onnx.GraphProto, entry: GraphEntry, channels: Channels) -> None:
    """Replace the file's input by the trunk's, and add the nodes that convert the trunk's input to the file's."""
    wanted = f"{entry.input}_as_the_file_wants_it"
    steps: list[tuple[str, dict[str, Any]]] = []
    if channels == "bgr":
        steps.append(("Gather", {"axis": 1}))
    if channels == "grey":
        steps += [("Mul", {}), ("ReduceSum", {"keepdims": 1})]
    if entry.layout == "NHWC":
        steps.append(("Transpose", {"perm": [0, 2, 3, 1]}))
    if entry.dtype == "float16" and entry.quantized is not None:
        steps.append(("Cast", {"to": TensorProto.FLOAT16}))
    if entry.dtype == "uint8":
        steps += [("Round", {}), ("Cast", {"to": TensorProto.UINT8})]
    rename_tensor(graph, entry.input, wanted if steps else INPUT_NAME)
    nodes, before = [], INPUT_NAME
    for number, (op, attributes) in enumerate(steps):
        after = wanted if number == len(steps) - 1 else f"{INPUT_NAME}_{number}"
        inputs = [before, *([_CONSTANTS[op]] if op in _CONSTANTS else [])]
        nodes.append(helper.make_node(op, inputs, [after], name=f"edgecnn_entry_{op}", **attributes))
        before = after
    if channels == "bgr":
        graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), BLUE_FIRST))
    if channels == "grey":
        graph.initializer.append(numpy_helper.from_array(LUMA.reshape(1, 3, 1, 1), _CONSTANTS["Mul"]))
        graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), _CONSTANTS["ReduceSum"]))
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [BATCH, 3, *entry.resolution_px]))


_OF_ONE_SHARE = {"edgecnn_halves": (-0.5, 0.5), "edgecnn_signs": (-1, 1), "edgecnn_first": (1, 0)}
"""Half of the logit and minus half have the sigmoid as their softmax; probabilities are 1 − p and p."""
_SQUEEZES = ("Squeeze", "Unsqueeze")
"""Around a softmax these may remove the axis of a single image, which a trunk needs for any batch size."""


def end_in_logits(graph: onnx.GraphProto, entry: GraphEntry, rank: int) -> None:
    """Make the graph's one output logits, under its own name. Its declared type and axes are removed.

    ``rank``: axes of the output as computed, which may differ from the declaration.
    """
    keeps_axes = _remove_last_activation(graph, entry)
    _reshape_to_rows(graph, entry, is_matrix=rank == 2 and keeps_axes)
    _take_logarithm(graph, entry)


def _remove_last_activation(graph: onnx.GraphProto, entry: GraphEntry) -> bool:
    """Replace probabilities by logits. Return False if the output then has other axes: those of a fixed single image."""
    if entry.ends_in_shares or not (entry.ends_in_softmax or entry.ends_in_sigmoid):
        return True
    made = {name: node for node in graph.node for name in node.output}
    node = made[entry.output]
    idle, squeezes = [], []
    while node.op_type not in PROBABILITIES:
        if (scaled := scaled_by_number(node, graph)) is not None:
            node.input[0] = scaled[0]
        idle += [node] if node.op_type in L1_NORMS or scaled is not None else []
        squeezes += [node] if node.op_type in _SQUEEZES else []
        node = made[node.input[0]]
    idle.append(node)
    while (node := made.get(node.input[0], onnx.NodeProto())).op_type in _SQUEEZES:
        squeezes.append(node)
    for replaced in (*idle, *(squeezes if entry.batch == 1 else [])):
        replaced.op_type = "Identity"
        replaced.ClearField("attribute")
        del replaced.input[1:]
    return entry.batch != 1 or not squeezes


def _reshape_to_rows(graph: onnx.GraphProto, entry: GraphEntry, *, is_matrix: bool) -> None:
    """Convert the output to float32 images×classes, whatever its type and axes; one number an image becomes two."""
    value = graph.output[0]
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        steps.append(("Cast", [], {"to": TensorProto.FLOAT}))
    if entry.output_steps is not None:
        steps += [("Sub", ["edgecnn_zero"], {}), ("Mul", ["edgecnn_scale"], {})]
    if not is_matrix:
        steps.append(("Reshape", ["edgecnn_row"], {}))
    if entry.one_share and entry.ends_in_shares:
        steps += [("Mul", ["edgecnn_signs"], {}), ("Add", ["edgecnn_first"], {})]
    elif entry.one_share:
        steps.append(("Mul", ["edgecnn_halves"], {}))
    if not steps:
        return
    constants = {name: np.array([numbers], np.float32) for name, numbers in _OF_ONE_SHARE.items()}
    if entry.output_steps is not None:
        constants |= {f"edgecnn_{name}": np.array(number, np.float32) for name, number in entry.output_steps.model_dump().items()}
    constants["edgecnn_row"] = np.array([-1, 1 if entry.one_share else entry.classes], np.int64)
    names = [f"{entry.output}_{number}_of_the_file" for number in range(len(steps))]
    rename_tensor(graph, entry.output, names[0])
    for (op, more, attributes), before, after in zip(steps, names, [*names[1:], entry.output], strict=True):
        graph.initializer.extend(numpy_helper.from_array(constants[name], name) for name in more)
        graph.node.append(helper.make_node(op, [before, *more], [after], name=f"edgecnn_row_{op}", **attributes))


def _take_logarithm(graph: onnx.GraphProto, entry: GraphEntry) -> None:
    """Take the logarithm of probabilities, whose softmax returns them, divided by their sum.

    For multi-label models take the logarithm of the odds, whose sigmoid returns the probability.
    """
    if not entry.ends_in_shares:
        return
    named = ("shares", "held", "least", "most", "one", "below", "rest", "odds")
    shares, raised, least, most, one, below, rest, odds = (f"{entry.output}_{name}" for name in named)
    rename_tensor(graph, entry.output, shares)
    constants, steps = {least: LEAST}, [("Max", [shares, least], raised)]
    if entry.ends_in_sigmoid:
        constants |= {most: 1 - LEAST, one: 1}
        steps += [("Min", [shares, most], below), ("Sub", [one, below], rest), ("Div", [raised, rest], odds)]
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    for op, inputs, made in (*steps, ("Log", [steps[-1][2]], entry.output)):
        graph.node.append(helper.make_node(op, inputs, [made], name=f"edgecnn_answer_{op}"))


def rename_tensor(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor everywhere, also in branches. If the new name is taken, that tensor is renamed first."""
    if old == new:
        return
    nodes = list(messages_in(graph, onnx.NodeProto))
    taken = {name for node in nodes for name in (*node.input, *node.output)} | {tensor.name for tensor in graph.initializer}
    if new in taken:
        rename_tensor(graph, new, f"{new}_of_the_file")
    for node in nodes:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for value in (*messages_in(graph, onnx.ValueInfoProto), *graph.initializer):
        if value.name == old:
            value.name = new

"""Rewrite an ONNX network in operators that have a rule: inline functions, fold constants, join the parts of GELU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.inliner import inline_selected_functions

from edgecnn.graph.constant_folding import compute_constants, is_random, schema_of
from edgecnn.graph.macs import fold_constants, shapes_at_batch_one


class Prepared(NamedTuple):
    """A network for the writer, and the shapes of its values at a batch of one."""

    model: onnx.ModelProto
    shapes: Mapping[str, list[int]]


def prepare(model: onnx.ModelProto, operators: Collection[str]) -> Prepared:
    """Return the network with every other operator inlined that ONNX defines by these. The model may be changed."""
    shapes = shapes_at_batch_one(model)
    fold_constants(model, shapes)  # sizes that the network computes are constants at a batch of one
    _declare_constants(model.graph)
    while functions := _functions_to_inline(model, operators):
        before = model.graph
        model = inline_selected_functions(model, [("", op) for op in functions], inline_schema_functions=True)
        _name_steps(model.graph, before)
        shapes = shapes_at_batch_one(model)
        fold_constants(model, shapes)
    compute_constants(model)
    _join_gelu(model.graph)
    return Prepared(model, shapes)


def _declare_constants(graph: onnx.GraphProto) -> None:
    """Add the types of constants to ``value_info``, where type-dependent definitions read them."""
    typed = {value.name for value in (*graph.input, *graph.value_info)}
    graph.value_info.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in graph.initializer
        if tensor.name not in typed
    )


def _name_steps(graph: onnx.GraphProto, before: onnx.GraphProto) -> None:
    """Name the values inside an inlined definition as numbered steps of the node's first output."""
    leads_to = {name: node.output[0] for node in before.node for name in node.output}
    inside = {name for node in graph.node for name in node.output if name} - leads_to.keys()
    for node in reversed(graph.node):
        end = next((leads_to[name] for name in node.output if name in leads_to), node.output[0])
        leads_to.update((name, end) for name in (*node.input, *node.output) if name in inside)
    numbers = (f"/{number}" for number in count(1))
    names = {name for node in graph.node for name in node.output}
    steps = {name: next(step for number in numbers if (step := leads_to[name] + number) not in names) for name in sorted(inside)}
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [steps.get(name, name) for name in ends]
    for value in graph.value_info:
        value.name = steps.get(value.name, value.name)


def _functions_to_inline(model: onnx.ModelProto, operators: Collection[str]) -> set[str]:
    """Return the other operators that ONNX defines by basic ones, and add to their nodes the defaults that definitions read."""
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    functions = set()
    for node in model.graph.node:
        schema = schema_of(node, version)
        if schema is None or node.op_type in operators or is_random(schema):
            continue
        if schema.has_function or schema.has_context_dependent_function:
            stated = {entry.name for entry in node.attribute}
            usual = [entry.default_value for name, entry in schema.attributes.items() if name not in stated]
            node.attribute.extend(value for value in usual if value.name)
            functions.add(node.op_type)
    return functions


def _join_gelu(graph: onnx.GraphProto) -> None:
    """Replace x · (1 + erf(x / √2)) / 2, the form of exporters below opset 20, by one Gelu: LiteRT has no erf."""
    made_by = {name: node for node in graph.node for name in node.output}
    uses = Counter(name for node in graph.node for name in node.input) + Counter(value.name for value in graph.output)
    readers = {name: node for node in graph.node for name in node.input if uses[name] == 1}
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    numbers |= {
        node.output[0]: constant_value(helper.get_attribute_value(node.attribute[0]))
        for node in graph.node
        if node.op_type == "Constant"
    }
    for node in [node for node in graph.node if node.op_type == "Erf"]:
        if (parts := _gelu_parts(node, made_by, readers, numbers)) is not None:
            value, *removed, end = parts
            for part in removed:
                graph.node.remove(part)
            end.CopyFrom(helper.make_node("Gelu", [value], list(end.output), name=end.name or node.name))


def constant_value(value: Any) -> Any:
    """Return the value of a Constant node's attribute as an array."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.array(value)


def _gelu_parts(erf: onnx.NodeProto, made_by: Mapping[str, Any], readers: Mapping[str, Any], numbers: Mapping[str, Any]) -> Any:
    """Return GELU's input, and then its nodes, the result's maker last. Return None for another expression."""

    def split(node: Any, op: str) -> tuple[str, float] | None:
        """Return the computed operand of a node and its other operand, a number."""
        if node is None or node.op_type != op:
            return None
        constant = next((name for name in node.input if name in numbers and numbers[name].size == 1), None)
        computed = next((name for name in node.input if name != constant), None)
        return (computed, float(numbers[constant].reshape(()))) if constant is not None and computed is not None else None

    inside = made_by.get(erf.input[0])
    scaled = split(inside, "Div") or split(inside, "Mul")
    plus = readers.get(erf.output[0])
    if inside is None or scaled is None or plus is None or (split(plus, "Add") or ("", 0.0))[1] != 1.0:
        return None
    value, factor = scaled[0], 1 / scaled[1] if inside.op_type == "Div" else scaled[1]
    first = readers.get(plus.output[0])
    second = None if first is None else readers.get(first.output[0])
    if abs(factor - 0.5**0.5) > 1e-5 or first is None or first.op_type != "Mul":
        return None
    private = [inside] if readers.get(inside.output[0]) is erf else []
    factor_name = next(name for name in (*first.input, "") if name != plus.output[0])
    half = split(made_by.get(factor_name), "Mul")
    if half == (value, 0.5) and factor_name in readers:  # (x / 2) · (1 + erf)
        return [value, *private, erf, plus, made_by[factor_name], first]
    if second is None or second.op_type not in ("Mul", "Div"):
        return None
    if factor_name == value and split(second, second.op_type) in ((first.output[0], 0.5), (first.output[0], 2.0)):
        is_half = (second.op_type == "Mul") == (split(second, second.op_type) == (first.output[0], 0.5))
        return [value, *private, erf, plus, first, second] if is_half else None
    if split(first, "Mul") == (plus.output[0], 0.5) and second.op_type == "Mul" and value in second.input:
        return [value, *private, erf, plus, first, second]
    return None

"""Free a fixed batch: rewrite the constants that contain it, so that a graph accepts any number of images.

Shapes are inferred twice, for the file's batch and for a multiple. The axis that differs counts images. A constant shape is
rewritten only where that axis passes through it; weights and other constants keep their shapes. If the axis disappears, for
example in a convolution whose weights depend on the image, the batch cannot be freed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edgecnn.graph.macs import FOLDED_MAX, fold_constants, shapes_at_batch
from edgecnn.graph.onnx_file import CONTRIBUTED, constants_of, opset_of

_TIMES: Final = 7
"""The multiple of the file's batch. Few sizes of a network are seven times another size of the same axis."""
_SAME_SHAPE: Final = ("GroupNormalization", "QLinearSigmoid", "QLinearSoftmax", "QLinearLeakyRelu", "Gelu", "FastGelu")
"""Operators whose output has the shape of their first input, and whose shapes onnx does not infer."""
_SHAPE_OF_AN_AXIS: Final = 15
"""Since this opset, Shape returns the size of one axis."""
_WEIGHTS: Final = ("Conv", "ConvTranspose")


class BatchFixed(Exception):
    """Raised when a node needs the file's own batch. The message is the node's name."""


def free_batch(model: onnx.ModelProto, batch: int) -> None:
    """Let a graph accept any number of images, in place.

    ``model``: its input is (``batch``, C, H, W) or (``batch``, H, W, C). Raises BatchFixed: a node needs this batch. The model
    is then partly changed.
    """
    _remove_idle_gathers(model, batch)
    fold_constants(model, shapes_at_batch(model, batch))
    _Freeing(model, batch).run()


def _remove_idle_gathers(model: onnx.ModelProto, batch: int) -> None:
    """Remove pairs of nodes that flatten a tensor and gather all of it in order. torch writes them for pooling to one pixel."""
    graph, shapes = model.graph, shapes_at_batch(model, batch)
    arrays = {name: numpy_helper.to_array(tensor) for name, tensor in constants_of(graph).items()}
    makers = {name: node for node in graph.node for name in node.output}
    for node in list(graph.node):
        flat = makers.get(node.input[0]) if node.op_type == "Gather" else None
        order = arrays.get(node.input[1]) if flat is not None else None
        if flat is None or order is None or flat.op_type != "Reshape":
            continue
        if arrays.get(flat.input[1], np.zeros(0)).tolist() != [-1]:
            continue
        idle = np.array_equal(order.ravel(), np.arange(order.size)) and tuple(shapes.get(flat.input[0], ())) == order.shape
        if idle:
            node.CopyFrom(helper.make_node("Identity", [flat.input[0]], list(node.output), name=node.name))
            if not any(flat.output[0] in reader.input for reader in graph.node):
                graph.node.remove(flat)


class _Freeing:
    """One pass over a graph.

    ``_dims``: the shape of each tensor, for the file's batch and for a multiple. ``_outer``: the number of steps of the counting
    axis in which each image appears, 17 for an axis of 17 rows that hold all images each; omitted if 1. ``_sizes``: the numbers
    of each shape that this pass makes the graph compute.
    """

    def __init__(self, model: onnx.ModelProto, batch: int) -> None:
        self._model, self._batch = model, batch
        self._constants = constants_of(model.graph)
        self._types: dict[str, int] = {}
        self._dims: dict[str, tuple[Sequence[int], Sequence[int]]] = {}
        self._outer: dict[str, int] = {}
        self._sizes: dict[str, tuple[Sequence[int], Sequence[int]]] = {}
        self._nodes: list[onnx.NodeProto] = []
        for name, tensor in self._constants.items():
            self._types[name], self._dims[name] = tensor.data_type, (tuple(tensor.dims), tuple(tensor.dims))
        constants = {tensor.name for tensor in model.graph.initializer}
        for value in model.graph.input:
            if value.name not in constants:
                kind = value.type.tensor_type
                rest = [size.dim_value for size in kind.shape.dim[1:]]
                self._types[value.name], self._dims[value.name] = kind.elem_type, ((batch, *rest), (batch * _TIMES, *rest))

    def run(self) -> None:
        """Rewrite the graph. Raises BatchFixed."""
        for node in self._model.graph.node:
            try:
                self._free(node)
            except (LookupError, ValueError, shape_inference.InferenceError) as error:
                # a shape that is unknown or impossible
                raise BatchFixed(node.name or node.output[0]) from error
        for value in self._model.graph.output:
            if self._axis(value.name) != 0:
                raise BatchFixed(value.name)
        del self._model.graph.node[:]
        self._model.graph.node.extend(self._nodes)

    def _axis(self, name: str) -> int | None:
        """Return the axis that counts images; None if no axis does. Raises ValueError: several differ."""
        own, more = self._dims[name]
        if len(own) != len(more):
            raise ValueError(name)
        axes = [axis for axis, (first, second) in enumerate(zip(own, more, strict=True)) if first != second]
        if len(axes) > 1 or any(more[axis] != own[axis] * _TIMES for axis in axes):
            raise ValueError(name)
        return axes[0] if axes else None

    def _free(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Constant":
            self._nodes.append(node)
            return
        axes = {name: axis for name in node.input if name and (axis := self._axis(name)) is not None}
        if axes and node.op_type in _REWRITES:
            _REWRITES[node.op_type](self, node, axes)
        if node.op_type in _WEIGHTS and axes and axes != {node.input[0]: 0}:
            raise ValueError(node.name)  # its number of groups depends on the batch
        self._nodes.append(node)
        for name, dims in self._inferred(node).items():
            self._dims[name] = dims
            if axes:
                self._carry(node, name, axes)

    def _carry(self, node: onnx.NodeProto, name: str, axes: Mapping[str, int]) -> None:
        """Record the place of the images in an output. Raises ValueError: it no longer counts them, or the place is unknown."""
        axis = self._axis(name)
        if axis is None:
            raise ValueError(name)
        outer = {self._outer[source] for source in axes if source in self._outer}
        if not outer or node.op_type == "Reshape":
            return
        if len(outer) > 1 or any(self._dims[source][0][at] != self._dims[name][0][axis] for source, at in axes.items()):
            raise ValueError(name)
        self._outer[name] = outer.pop()

    def _inferred(self, node: onnx.NodeProto) -> dict[str, tuple[Sequence[int], Sequence[int]]]:
        if node.op_type in _SAME_SHAPE:
            self._types[node.output[0]] = self._types[node.input[0]]
            return {node.output[0]: self._dims[node.input[0]]}
        names = [name for name in node.output if name]
        own, more = (self._shapes_of_outputs(node, place) for place in (0, 1))
        return {name: (own[name], more[name]) for name in names}

    def _shapes_of_outputs(self, node: onnx.NodeProto, place: int) -> Mapping[str, Sequence[int]]:
        """Infer a node's outputs. ``place``: 0 for the file's batch, 1 for the multiple."""
        inputs, small = [], []
        for name in dict.fromkeys(node.input):
            if name in self._constants and prod(self._dims[name][0]) <= FOLDED_MAX:
                small.append(onnx.TensorProto())
                small[-1].CopyFrom(self._constants[name])
                small[-1].name = name
            elif name in self._sizes:
                small.append(numpy_helper.from_array(np.array(self._sizes[name][place], np.int64), name))
            elif name:
                inputs.append(helper.make_tensor_value_info(name, self._types[name], self._dims[name][place]))
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "one", inputs, outputs, small)
        alone = onnx.ModelProto(ir_version=self._model.ir_version, graph=graph, opset_import=self._model.opset_import)
        inferred = shape_inference.infer_shapes(alone, strict_mode=node.domain != CONTRIBUTED, data_prop=True).graph
        shapes = {}
        for value in (*inferred.output, *inferred.value_info):
            kind = value.type.tensor_type
            if all(size.HasField("dim_value") for size in kind.shape.dim) and kind.HasField("shape"):
                self._types[value.name] = kind.elem_type
                shapes[value.name] = tuple(size.dim_value for size in kind.shape.dim)
        return shapes

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        return numpy_helper.to_array(self._constants[name])

    def _add_constant(self, name: str, values: npt.NDArray[Any]) -> str:
        tensor = numpy_helper.from_array(values, name)
        self._model.graph.initializer.append(tensor)
        self._constants[name] = tensor
        self._types[name], self._dims[name] = tensor.data_type, (values.shape, values.shape)
        return name

    def reshape(self, node: onnx.NodeProto, axes: Mapping[str, int]) -> None:
        """Let the size of the axis that counts images follow from the number of elements."""
        source = node.input[0]
        before = prod(self._dims[source][0][: axes[source]]) * self._outer.get(source, 1)
        target = self._shapes_of_outputs(node, 0)[node.output[0]]
        place, outer = self._counting_axis(target, before)
        if outer > 1:
            self._outer[node.output[0]] = outer
        free = [-1 if at == place else size for at, size in enumerate(target)]
        if [*self._numbers(node.input[1])] != free:
            node.input[1] = self._add_constant(f"{node.output[0]}_shape_of_any_batch", np.array(free, np.int64))
            del node.attribute[:]  # Reshape has no attribute but allowzero

    def _counting_axis(self, shape: Sequence[int], before: int) -> tuple[int, int]:
        """Return the axis of a new shape that counts images, and its steps for each image.

        ``before``: the number of elements of one image's part that precede the next image, in the order of memory. Several axes
        may fit. An axis of exactly the batch is the most likely, then one that begins with the images, then one that ends with
        them. The last axis holds features.
        """
        fits = []
        for axis, size in enumerate(shape):
            outer, rest = divmod(before, prod(shape[:axis]))
            if not rest and outer and size % (outer * self._batch) == 0:
                likely = 0 if (outer, size) == (1, self._batch) else 1 if outer == 1 else 2
                fits.append((axis == len(shape) - 1, likely, axis, outer))
        if not fits:
            raise ValueError(shape)
        _, _, axis, outer = min(fits)
        return axis, outer

    def expand(self, node: onnx.NodeProto, axes: Mapping[str, int]) -> None:
        """Replace the batch by 1, which broadcasts."""
        shape = self._numbers(node.input[1]).copy()
        shape[axes[node.input[0]] - len(self._dims[node.input[0]][0])] = 1
        node.input[1] = self._add_constant(f"{node.output[0]}_shape_of_any_batch", shape)

    def resize(self, node: onnx.NodeProto, axes: Mapping[str, int]) -> None:
        """Take the batch of the sizes from the input."""
        if len(node.input) < 4 or not node.input[3]:
            return
        own = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "axes"), None)
        axis, sizes = axes[node.input[0]], self._numbers(node.input[3])
        place = own.index(axis) if own is not None and axis in own else axis if own is None else None
        if place is not None:
            node.input[3] = self._shape_like(node, 3, (node.input[0], axis), [*map(int, sizes)], place)

    def concat(self, node: onnx.NodeProto, axes: Mapping[str, int]) -> None:
        """Repeat the operands without a batch, such as a class token."""
        (axis,) = {*axes.values()}
        source = next(iter(axes))
        for place, operand in enumerate(node.input):
            if operand in axes:
                continue
            name, repeated = self._first_row(operand, axis), f"{node.output[0]}_operand_{place}"
            shape = self._shape_like(node, place, (source, axis), [*self._dims[name][0]], axis)
            own, more = ([*dims] for dims in self._dims[name])
            own[axis], more[axis] = self._dims[source][0][axis], self._dims[source][1][axis]
            self._types[repeated], self._dims[repeated] = self._types[name], (own, more)
            self._nodes.append(helper.make_node("Expand", [name, shape], [repeated], name=repeated))
            node.input[place] = repeated

    def _first_row(self, name: str, axis: int) -> str:
        """Return an operand of size 1 along the axis. Raises ValueError: its rows differ."""
        if self._dims[name][0][axis] == 1:
            return name
        values = self._numbers(name)
        first = values.take([0], axis)
        if not (values == first).all():
            raise ValueError(name)
        return self._add_constant(f"{name}_first", first)

    def _shape_like(self, node: onnx.NodeProto, number: int, source: tuple[str, int], shape: Sequence[int], place: int) -> str:
        """Return a shape whose size at ``place`` is that of a tensor's axis. ``source``: the tensor and the axis."""
        if opset_of(self._model) < _SHAPE_OF_AN_AXIS:
            raise ValueError(node.name)
        made = f"{node.output[0]}_{number}_shape"
        counted, (name, axis) = f"{made}_images", source
        self._nodes.append(helper.make_node("Shape", [name], [counted], name=counted, start=axis, end=axis + 1))
        parts = [counted]
        if place:
            parts.insert(0, self._add_constant(f"{made}_before", np.array(shape[:place], np.int64)))
        if place + 1 < len(shape):
            parts.append(self._add_constant(f"{made}_after", np.array(shape[place + 1 :], np.int64)))
        self._nodes.append(helper.make_node("Concat", parts, [made], name=made, axis=0))
        own, more = ([*shape] for _ in range(2))
        own[place], more[place] = (self._dims[name][at][axis] for at in (0, 1))
        self._types[made], self._dims[made] = TensorProto.INT64, ((len(shape),), (len(shape),))
        self._sizes[made] = (own, more)
        return made


_REWRITES: Final = {
    "Reshape": _Freeing.reshape,
    "Expand": _Freeing.expand,
    "Resize": _Freeing.resize,
    "Concat": _Freeing.concat,
}

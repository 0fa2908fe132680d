"""Reads what a custom ONNX file says of itself: its ends, its opset, and whether it is a classifier of photographs at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import onnx

from edgecnn.errors.base import system_reason
from edgecnn.errors.custom_model import CustomFileMissing, CustomModelUnusable
from edgecnn.graph.custom.classical import attributes_of, is_classical
from edgecnn.graph.custom.ends import (
    answer_of,
    dims_of,
    end_of,
    image_dims,
    inferred_dims,
    nodes_behind,
    output_steps,
    refuse_softmax_of_others,
)
from edgecnn.graph.custom.image_entry import answer_entry, image_entry, only_one
from edgecnn.graph.onnx_file import CONTRIBUTED, constants_of, external_files, load_model, opset_of, quantized_form
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import sha256_of
from edgecnn.values.custom_model import GraphEntry
from edgecnn.values.stage import Key, digest_of

_DTYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.UINT8: "uint8"}


def read_entry(
    model: onnx.ModelProto, path: Path, resolution_px: ImageSize | None = None, output: str | None = None
) -> GraphEntry:
    """What the file wants and gives.

    ``resolution_px``: for a file that leaves height and width open. ``output``: the name of its class scores, where it has
    several. Raises CustomModelUnusable: it is no classifier of photographs with one input and one output, has foreign operators,
    or is in training mode.
    """
    quantized = quantized_form(model)
    if quantized == "dynamic":
        because = "it came quantized by ranges of each call, so that an answer depends on the other images in the call"
        raise CustomModelUnusable(path=path, because=because, hint="use its float network, or quantize it statically")
    known = ("", "ai.onnx", CONTRIBUTED) if quantized else ("", "ai.onnx")  # it stays in ONNX Runtime, whose own these are
    answer = answer_of(model, path, output)
    for node in nodes_behind(model.graph, answer.name):
        if node.domain not in known and not is_classical(node):
            because = f"its operator {node.op_type} is of the domain {node.domain}, which other runtimes do not have"
            optimized = node.domain.startswith(CONTRIBUTED)
            hint = "name the file from before ONNX Runtime optimized it" if optimized else "export it with ONNX's own operators"
            raise CustomModelUnusable(path=path, because=because, hint=hint)
        _refuse_training(node, model, path)
    image = _only(_inputs(model), "input", path)
    end, made_by = end_of(model.graph, answer.name), end_of(model.graph, answer.name, rounded=True)
    taken = image_entry(image.name, image_dims(model, image), _dtype(image), resolution_px, path)
    dims = dims_of(answer) if answer.type.tensor_type.HasField("shape") else inferred_dims(model, answer)
    given = answer_entry(answer.name, dims, (end, made_by), taken["batch"], path)
    refuse_softmax_of_others(model, answer.name, given["classes"], taken["batch"], path)
    return GraphEntry(
        **taken,
        **given,
        output_steps=output_steps(model.graph, answer, path),
        opset=opset_of(model),
        quantized=quantized,
    )


def _refuse_training(node: onnx.NodeProto, model: onnx.ModelProto, path: Path) -> None:
    """Of a node that draws at random, or computes with the statistics of a call's images, since it is still in training mode."""
    if node.op_type == "Dropout" and len(node.input) > 2:
        held = constants_of(model.graph)
        ratio, mode = (None if name not in held else onnx.numpy_helper.to_array(held[name]) for name in node.input[1:3])
        trains = mode is not None and bool(mode.any()) and (ratio is None or bool(ratio.any()))  # one that drops 0 % is idle
    else:
        trains = node.op_type == "BatchNormalization" and (bool(attributes_of(node).get("training_mode")) or any(node.output[1:]))
    if trains:
        because = f"it was exported while it was training ({node.op_type} {node.name or node.output[0]})"
        raise CustomModelUnusable(path=path, because=because, hint="call model.eval() before torch.onnx.export")


def parameters_of(model: onnx.ModelProto) -> int:
    """Numbers in the weights, floating-point or of 8 bits; a constant of a few floating-point numbers counts too."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    bytes_ = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    held = [*model.graph.initializer, *(attribute.t for node in model.graph.node for attribute in node.attribute)]
    weights = (each for each in held if each.data_type in floats or (each.data_type in bytes_ and len(each.dims) > 1))
    return max(1, int(sum(prod(tensor.dims) for tensor in weights)))


def read_model(path: Path) -> onnx.ModelProto:
    """A custom file with its weights in memory.

    Raises NotAnOnnxModel, ExternalDataOutside: see ``graph.document``. CustomModelUnusable: weights that should lie beside it are
    not there.
    """
    try:
        return load_model(path)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise CustomModelUnusable(path=path, because=f"it cannot be read: {system_reason(error)}") from error


def content_of(path: Path, beside: Sequence[str] | None = None) -> Key:
    """What names a custom model: the file's SHA-256, and where weights lie beside it, that of all of them.

    ``beside``: ``external_files(path)`` where that is known already: it parses the whole file. Raises NotAnOnnxModel,
    ExternalDataOutside: see ``graph.document``. CustomFileMissing: one of them cannot be read.
    """
    try:
        beside = external_files(path) if beside is None else beside
        if not beside:
            return Key(sha256_of(path))
        return digest_of({name: sha256_of(path.parent / name) for name in beside} | {"": sha256_of(path)})
    except OSError as error:
        raise CustomFileMissing(path=path, because=system_reason(error)) from error


def _inputs(model: onnx.ModelProto) -> list[Any]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _only(values: Iterable[Any], what: str, path: Path) -> Any:
    found = {value.name: value for value in values}
    return found[only_one(list(found), what, path)]


def _dtype(image: Any) -> str:
    kind = image.type.tensor_type.elem_type
    return _DTYPES.get(kind) or onnx.TensorProto.DataType.Name(kind).lower()

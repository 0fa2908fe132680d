"""Reads what a brought ONNX file says of itself: its ends, its opset, and whether it is a classifier of photographs at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import onnx

from edgecnn.errors.brought import BroughtFileMissing, BroughtModelUnusable
from edgecnn.graph.document import external_files, load_model, opset_of
from edgecnn.graph.unquantized import CONTRIBUTED, quantized_form
from edgecnn.store.disk import sha256_of
from edgecnn.values.brought import GraphEntry
from edgecnn.values.key import Key, digest_of

COLOURS = 3
SOFTMAXES = ("Softmax",)
_DTYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.UINT8: "uint8"}
PIXEL_FORMAT, PIXEL_RANGE = "Image.BitmapPixelFormat", "Image.NominalPixelRange"
"""Keys of ONNX's own image metadata (github.com/onnx/onnx, docs/MetadataProps.md)."""


def read_entry(model: onnx.ModelProto, path: Path, resolution_px: int | None = None) -> GraphEntry:
    """What the file wants and gives.

    Args:
        model: as it was loaded.
        path: for errors.
        resolution_px: for a file that leaves height and width open.

    Raises:
        BroughtModelUnusable: it is no classifier of RGB photographs with one input and one output, or has foreign operators.
    """
    quantized = quantized_form(model)
    if quantized == "dynamic":
        because = "it came quantized by ranges found anew in each call, so that an answer hangs on the images beside it"
        raise BroughtModelUnusable(path=path, because=because, hint="bring its float network, or quantize it statically")
    known = ("", "ai.onnx", CONTRIBUTED) if quantized else ("", "ai.onnx")  # it stays in ONNX Runtime, whose own these are
    for node in model.graph.node:
        if node.domain not in known:
            because = f"its operator {node.op_type} is of the domain {node.domain}, which other runtimes do not have"
            raise BroughtModelUnusable(path=path, because=because, hint="export it with ONNX's own operators")
    image = _only(_inputs(model), "input", path)
    answer = _only(model.graph.output, "output", path)
    dims, layout = _image_dims(image, path)
    side = _side(image.name, dims, resolution_px, path)
    return GraphEntry(
        input=image.name,
        layout=layout,
        dtype=_dtype(image, path),
        resolution_px=side,
        batch=dims[0].dim_value if dims[0].dim_value > 0 else None,
        output=answer.name,
        classes=_classes(answer, path),
        ends_in_softmax=_last(model, answer.name).op_type in SOFTMAXES,
        opset=opset_of(model),
        quantized=quantized,
    )


def parameters_of(model: onnx.ModelProto) -> int:
    """Numbers in the weights, floating-point or of 8 bits; a constant of a few floating-point numbers counts too."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    bytes_ = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    held = [*model.graph.initializer, *(attribute.t for node in model.graph.node for attribute in node.attribute)]
    weights = (each for each in held if each.data_type in floats or (each.data_type in bytes_ and len(each.dims) > 1))
    return max(1, int(sum(prod(tensor.dims) for tensor in weights)))


def stated_in(model: onnx.ModelProto) -> str | None:
    """The usual preprocessing that the file's own metadata names, by ONNX's image metadata; None where it says nothing."""
    said = {entry.key: entry.value for entry in model.metadata_props}
    scale = {"NominalRange_0_255": "bytes", "Normalized_0_1": "unit", "Normalized_1_1": "half"}.get(said.get(PIXEL_RANGE, ""))
    blue_first = said.get(PIXEL_FORMAT, "").lower().startswith("bgr")
    if blue_first:
        return "bytes-bgr" if scale == "bytes" else None
    return scale


def read_model(path: Path) -> onnx.ModelProto:
    """A brought file with its weights in memory.

    Raises:
        NotAnOnnxModel, ExternalDataOutside: see ``graph.document``.
        BroughtModelUnusable: weights that should lie beside it are not there.
    """
    try:
        return load_model(path)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BroughtModelUnusable(path=path, because=f"its weights cannot be read: {error}") from error


def content_of(path: Path, beside: Sequence[str] | None = None) -> Key:
    """What names a brought model: the file's SHA-256, and where weights lie beside it, that of all of them.

    Args:
        path: of the model.
        beside: ``external_files(path)`` where that is known already: it parses the whole file.

    Raises:
        NotAnOnnxModel, ExternalDataOutside: see ``graph.document``.
        BroughtFileMissing: one of them cannot be read.
    """
    try:
        beside = external_files(path) if beside is None else beside
        if not beside:
            return Key(sha256_of(path))
        return digest_of({name: sha256_of(path.parent / name) for name in beside} | {"": sha256_of(path)})
    except OSError as error:
        raise BroughtFileMissing(path=path, because=error.strerror or str(error)) from error


# ---------------------------------------------------------------------------------------------------------------------


def _inputs(model: onnx.ModelProto) -> list[Any]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _only(values: Iterable[Any], what: str, path: Path) -> Any:
    found = list(values)
    if len(found) != 1:
        names = ", ".join(value.name for value in found[:4]) or "none"
        raise BroughtModelUnusable(path=path, because=f"a classifier has one {what}, and this has {len(found)}: {names}")
    return found[0]


def _image_dims(image: Any, path: Path) -> tuple[Any, Any]:
    dims = image.type.tensor_type.shape.dim
    shape = "×".join(str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims)
    if len(dims) != 4:
        because = f"its input {image.name} is {shape or 'without a shape'}, and not a batch of images"
        raise BroughtModelUnusable(path=path, because=because)
    if dims[1].dim_value == COLOURS:
        return (dims[0], dims[2], dims[3]), "NCHW"
    if dims[3].dim_value == COLOURS:
        return (dims[0], dims[1], dims[2]), "NHWC"
    raise BroughtModelUnusable(path=path, because=f"its input {image.name} is {shape}, which has no axis of three colours")


def _side(name: str, dims: Any, asked: int | None, path: Path) -> int:
    height, width = dims[1].dim_value, dims[2].dim_value
    if height > 0 and width > 0:
        if height != width:
            raise BroughtModelUnusable(path=path, because=f"its input {name} is {width}×{height} pixels, and crops are square")
        if asked not in (None, height):
            because = f"its input {name} is {height} pixels wide, and model.resolution_px is {asked}"
            raise BroughtModelUnusable(path=path, because=because, hint="leave model.resolution_px out")
        return int(height)
    if asked is None:
        because = f"its input {name} leaves height and width open"
        raise BroughtModelUnusable(path=path, because=because, hint="--set model.resolution_px=224 says at which it is used")
    return asked


def _dtype(image: Any, path: Path) -> Any:
    kind = image.type.tensor_type.elem_type
    if kind not in _DTYPES:
        said = onnx.TensorProto.DataType.Name(kind).lower()
        raise BroughtModelUnusable(path=path, because=f"its input {image.name} is {said}, and not float32, float16 or uint8")
    return _DTYPES[kind]


def _classes(answer: Any, path: Path) -> int:
    dims = answer.type.tensor_type.shape.dim
    if len(dims) != 2 or dims[1].dim_value < 2:
        shape = "×".join(str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims)
        because = f"its output {answer.name} is {shape or 'without a shape'}, and not (images, classes)"
        raise BroughtModelUnusable(path=path, because=because, hint="export it with a fixed number of classes")
    return int(dims[1].dim_value)


def _last(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    found = next((node for node in model.graph.node if name in node.output), onnx.NodeProto())
    return _last(model, found.input[0]) if found.op_type == "Identity" else found

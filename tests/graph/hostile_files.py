"""ONNX files as an attacker, a broken disk or a broken exporter writes them, each made of a classifier that is right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.graph.custom_files import classifier


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "mine.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _weights_at(folder: Path, location: str | None, **external: object) -> Path:
    """The last layer's weights are said to lie in that file beside it, which is there if it may be."""
    model = classifier()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.w")
    content = numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **external}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    if external:
        (folder / "w.bin").write_bytes(content)
    return _saved(model, folder)


def weights_in_a_pipe(folder: Path) -> Path:
    """Whoever reads it waits for somebody who writes."""
    os.mkfifo(folder / "w.bin")
    return _weights_at(folder, "w.bin")


def weights_in_a_folder(folder: Path) -> Path:
    """A folder where a file should be."""
    (folder / "w.bin").mkdir()
    return _weights_at(folder, "w.bin")


def model_of_opset(folder: Path, version: int | None) -> Path:
    """None: it names none."""
    model = classifier()
    if version is None:
        del model.opset_import[:]
    else:
        model.opset_import[0].version = version
    return _saved(model, folder)


def model_of_type(folder: Path, kind: int, *, of_the_input: bool) -> Path:
    """With an element type that ONNX does not have."""
    model = classifier()
    if of_the_input:
        model.graph.input[0].type.tensor_type.elem_type = kind
    else:
        model.graph.initializer[0].data_type = kind
    return _saved(model, folder)


def model_of_shape(folder: Path, first: int) -> Path:
    """With weights that cannot be as long as they say."""
    model = classifier()
    model.graph.initializer[0].dims[0] = first
    return _saved(model, folder)


def model_named_in_bytes(folder: Path) -> Path:
    """The name of its answer is not valid UTF-8."""
    path = folder / "mine.onnx"
    path.write_bytes(classifier().SerializeToString().replace(b"scores", b"sc\xff\xfees"))
    return path


def that_feeds_itself(folder: Path) -> Path:
    """Its answer is made from its answer."""
    model = classifier()
    last = next(node for node in model.graph.node if node.name == "fc")
    last.CopyFrom(helper.make_node("Identity", ["scores"], ["scores"], name="fc"))
    return _saved(model, folder)


def model_of_long_tail(folder: Path, length: int = 1500) -> Path:
    """That many operators after its answer which change nothing."""
    model = classifier()
    names = ["scores", *(f"again_{number}" for number in range(length))]
    for before, after in zip(names[:-1], names[1:], strict=True):
        model.graph.node.append(helper.make_node("Identity", [before], [after]))
    model.graph.output[0].name = names[-1]
    return _saved(model, folder)


def that_never_ends(folder: Path) -> Path:
    """A loop whose condition stays true."""
    model = classifier()
    ends = [("go_on", TensorProto.BOOL), ("carried", TensorProto.FLOAT)]
    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_after"]) for name, _ in ends],
        "body",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, []), *(_value(name, kind) for name, kind in ends)],
        [_value(f"{name}_after", kind) for name, kind in ends],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    model.graph.node.append(helper.make_node("Loop", ["", "true", "scores"], ["at_last"], body=body))
    model.graph.output[0].name = "at_last"
    return _saved(model, folder)


def _value(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [] if kind == TensorProto.BOOL else None)


def that_fills_the_memory(folder: Path) -> Path:
    """A constant of 256 GiB is added to its answer."""
    model = classifier()
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**20, 2**16], np.int64), "shape_of_all"))
    for op, inputs, output in (("ConstantOfShape", ["shape_of_all"], "all"), ("ReduceSum", ["all"], "sum")):
        model.graph.node.append(helper.make_node(op, inputs, [output], **({"keepdims": 0} if op == "ReduceSum" else {})))
    model.graph.node.append(helper.make_node("Add", ["scores", "sum"], ["sums"]))
    model.graph.output[0].name = "sums"
    return _saved(model, folder)


def _bytes(content: bytes) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        (folder / "mine.onnx").write_bytes(content)
        return folder / "mine.onnx"

    return made


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (_bytes(b""), "it contains no graph with an output"),
    "noise": (_bytes(b"\x3a\x7f" * 300), "Wire format was corrupt"),
    "weights absent": (lambda folder: _weights_at(folder, "w.bin"), "needs the file w.bin, which is not in its folder"),
    "weights nowhere": (lambda folder: _weights_at(folder, None), "outside its folder"),
    "weights in a name with signs": (lambda folder: _weights_at(folder, "w\x01\x1b[2J.bin"), "needs the file w"),
    "weights in a name with NUL": (lambda folder: _weights_at(folder, "w\x00.bin"), "is not a file name"),
    "weights of negative length": (lambda folder: _weights_at(folder, "w.bin", length=-5), "must be non-negative"),
    "weights longer than their file": (lambda folder: _weights_at(folder, "w.bin", length=2**62), "exceeds available data"),
    "weights at no number": (lambda folder: _weights_at(folder, "w.bin", offset="x"), "invalid literal for int()"),
    "weights in a pipe": (weights_in_a_pipe, "is not a regular file"),
    "weights in a folder": (weights_in_a_folder, "is not a regular file"),
    "no opset": (lambda folder: model_of_opset(folder, None), "it names no opset"),
    "opset -1": (lambda folder: model_of_opset(folder, -1), "it names no opset"),
    "opset 2^62": (lambda folder: model_of_opset(folder, 2**62), "ONNX Runtime cannot open it"),
    "weights of an unknown type": (lambda folder: model_of_type(folder, 99, of_the_input=False), "ONNX Runtime cannot open it"),
    "an input of an unknown type": (lambda folder: model_of_type(folder, 77, of_the_input=True), "no name defined for value 77"),
    "weights of a negative shape": (lambda folder: model_of_shape(folder, -3), "ONNX Runtime cannot open it"),
    "weights of 2^40 rows": (lambda folder: model_of_shape(folder, 2**40), "ONNX Runtime cannot open it"),
    "a name that is no text": (model_named_in_bytes, "unable to parse raw data as a unicode string"),
    "an answer from itself": (that_feeds_itself, "RecursionError"),
    "1,500 operators that change nothing": (model_of_long_tail, "RecursionError"),
    "a constant of 256 GiB": (that_fills_the_memory, "ONNX Runtime cannot run it"),
    "2^40 images a call": (lambda folder: _saved(classifier(batch=2**40), folder), "more memory than allowed"),
    "2^20 pixels a side": (lambda folder: _saved(classifier(size=(2**20, 2**20)), folder), "178,956,970 pixels"),
}
"""How it is made, and what its refusal says."""

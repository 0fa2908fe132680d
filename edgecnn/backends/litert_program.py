"""Runs in LiteRT's own environment, where there is no edgecnn.

    convert MODEL.onnx FOLDER fp32|fp16|int8        # FOLDER/model_float32.tflite, of one image a call, to be made that;
                                                    # else FOLDER/lacking.txt: what LiteRT has no operator for, one a line
    quantize FLOAT.tflite FEED.npy INT8.tflite      # full INT8 but for its two ends, ranges from the feed
    halve FLOAT.tflite FP16.tflite                  # weights in half precision
    answer MODEL.tflite FEED.npy LOGITS.npy         # by no code of the runner, which must reproduce it

A feed is float32 (N, H, W, 3), logits float32 (N, classes).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def convert(onnx: str, folder: str, precision: str) -> None:
    """By onnx2tf, which writes the FlatBuffer itself: TensorFlow is not needed."""
    import onnx as library
    import onnx2tf

    given = Path(folder) / "model.onnx"
    given.parent.mkdir(parents=True, exist_ok=True)
    library.save(_for_xnnpack(library.load(onnx), precision), given)
    onnx2tf.convert(
        input_onnx_file_path=str(given),
        output_folder_path=folder,
        copy_onnx_input_output_names_to_tflite=True,
        not_use_onnxsim=True,
        non_verbose=True,
        verbosity="error",
    )
    _without_custom_operators(Path(folder))


def _without_custom_operators(folder: Path) -> None:
    """onnx2tf writes what it has no form of as an operator of ONNX's own name (``ONNX_DET``), and says that all went well."""
    from ai_edge_litert import schema_py_generated as schema

    made = folder / "model_float32.tflite"
    network = schema.Model.GetRootAsModel(made.read_bytes(), 0)
    codes = [network.OperatorCodes(index) for index in range(network.OperatorCodesLength())]
    customs = [code.CustomCode().decode() for code in codes if code.BuiltinCode() == schema.BuiltinOperator.CUSTOM]
    if customs:
        made.unlink()
        (folder / "lacking.txt").write_text("\n".join(customs), encoding="utf-8")


def _for_xnnpack(network: Any, precision: str) -> Any:
    """What would keep XNNPACK from taking a network in one piece, written so that it does not; in float no number changes.

    A batch that is open leaves operators that compute sizes: INT8 of MobileNetV2 took 2.5 times as long so. Pooling that pads
    becomes a pad with the lowest number, which XNNPACK has not; where nothing is negative zero is as good. Of hard-swish it has
    no INT8 kernel, and LiteRT's own took 6.5 of 8.2 ms of MobileNetV3-Large: so it is an addition and two products there.
    """
    import onnx

    graph = network.graph
    for end in (*graph.input, *graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]
    makers = {name: node for node in graph.node for name in node.output}
    nodes = []
    for node in graph.node:
        if node.op_type == "HardSwish" and precision == "int8":
            nodes += _hard_swish_of_parts(graph, node)
            continue
        pads = next((each for each in node.attribute if each.name == "pads"), None)
        maker = makers.get(node.input[0]) if node.op_type == "MaxPool" and pads is not None and any(pads.ints) else None
        if pads is not None and maker is not None and maker.op_type in _NEVER_NEGATIVE:
            sizes, padded = f"{node.output[0]}_pads", f"{node.output[0]}_padded"
            before, after = pads.ints[: len(pads.ints) // 2], pads.ints[len(pads.ints) // 2 :]
            graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 0, *before, 0, 0, *after], np.int64), sizes))
            nodes.append(onnx.helper.make_node("Pad", [node.input[0], sizes], [padded]))
            node.input[0] = padded
            node.attribute.remove(pads)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return onnx.shape_inference.infer_shapes(network, data_prop=True)


def _hard_swish_of_parts(graph: Any, node: Any) -> list[Any]:
    """x · (min(max(x + 3, 0), 6) / 6), as it is defined: Howard et al. 2019, arXiv:1905.02244, section 5.2."""
    import onnx

    (given,), (made,) = node.input, node.output
    numbers = {f"{made}_{name}": number for name, number in (("zero", 0.0), ("three", 3.0), ("six", 6.0), ("sixth", 1 / 6))}
    graph.initializer.extend(onnx.numpy_helper.from_array(np.array(number, np.float32), name) for name, number in numbers.items())
    zero, three, six, sixth = numbers
    moved, kept, share = (f"{made}_{name}" for name in ("moved", "kept", "share"))
    steps = (("Add", [given, three], moved), ("Clip", [moved, zero, six], kept), ("Mul", [kept, sixth], share))
    return [onnx.helper.make_node(kind, inputs, [name]) for kind, inputs, name in (*steps, ("Mul", [given, share], made))]


_NEVER_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid"})


def quantize(source: str, feed: str, made: str) -> None:
    """By LiteRT's quantizer: weights with a scale for each output channel, activations with one for each tensor."""
    from litert_quantizer import qtyping, quantizer, recipe

    work = quantizer.Quantizer(source)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    kept = (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT, qtyping.TFLOperationName.PADV2)
    for each in kept:  # of the last its scales would not fit its number
        work.update_quantization_recipe(regex=".*", operation_name=each, algorithm_key="no_quantize")
    (key, ends), *_ = _opened(source).get_signature_list().items()
    pictures = [{ends["inputs"][0]: picture[None]} for picture in np.load(feed, mmap_mode="r")]
    work.quantize(work.calibrate({key: pictures})).export_model(made)


def halve(source: str, made: str) -> None:
    """By LiteRT's quantizer. Whether the arithmetic is half as well is for who opens the file to say."""
    from litert_quantizer import qtyping, quantizer

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    work = quantizer.Quantizer(source)
    work.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT),
        algorithm_key=quantizer.AlgorithmName.FLOAT_CASTING,
    )
    work.quantize().export_model(made)


def answer(model: str, feed: str, logits: str) -> None:
    """One picture a call."""
    network = _opened(model)
    network.allocate_tensors()
    (taken,), (given,) = network.get_input_details(), network.get_output_details()
    answers = []
    for picture in np.load(feed, mmap_mode="r"):
        network.set_tensor(taken["index"], np.ascontiguousarray(picture[None]))
        network.invoke()
        answers.append(network.get_tensor(given["index"])[0])
    np.save(logits, np.stack(answers).astype(np.float32))


def _opened(model: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=model)


if __name__ == "__main__":
    verbs: dict[str, Any] = {"convert": convert, "quantize": quantize, "halve": halve, "answer": answer}
    verbs[sys.argv[1]](*sys.argv[2:])

"""A classifier that needs no training: it tells dark from bright and red from blue, and only where it is fed as it was made for.

Its weights are worked out in the space of one preprocessing, so that any other gives other answers. The forms in which people
have such a file (channels last, bytes, half precision, an old opset, a softmax, a fixed batch) are made of it by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image

from edgecnn.models.preprocessings import usual_named
from edgecnn.values.custom_model import Feeding
from edgecnn.values.preprocessing import PixelRecipe

SIDE = 32
CLASSES = ("bright blue", "bright red", "dark blue", "dark red")
_BRIGHTNESS, _RED = (1, 1, -1, -1), (-1, 1, -1, 1)
THRESHOLD = 0.2
"""Of the mean over channels, on the scale 0…1."""


def feeding_named(name: str) -> Feeding:
    """A usual one at the pictures' own size, without a border."""
    usual = usual_named(name)
    pixels = PixelRecipe(resize_px=SIDE, crop_px=SIDE, interpolation="bilinear")
    return Feeding(name=name, pixels=pixels, normalization=usual.normalization, channels=usual.channels)


def pictures(count: int, seed: int = 0, side: int = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noisy plain pictures uint8 (count, side, side, 3) of the four classes in turn, and their labels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    level = np.where(np.take(_BRIGHTNESS, labels) > 0, draw.uniform(0.23, 0.42, count), draw.uniform(0.08, 0.17, count))
    tint = draw.uniform(0.03, 0.06, count) * np.take(_RED, labels)
    colour = np.stack([level + tint, level, level - tint], axis=1)[:, None, None, :]
    noise = draw.normal(0, 0.02, (count, side, side, 3))
    return np.clip(255 * (colour + noise), 0, 255).round().astype(np.uint8), labels


def photo_folder(folder: Path, per_class: int = 40) -> Path:
    """The pictures as PNG files, a folder a class."""
    pixels, labels = pictures(per_class * len(CLASSES))
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number:04}.png")
    return folder


def classifier(
    like: str = "imagenet",
    *,
    layout: str = "NCHW",
    dtype: str = "float32",
    softmax: bool = False,
    sigmoid: bool = False,
    batch: int | str = "n",
    opset: int = 17,
    batch_norm: bool = False,
    size: tuple[int, int] = (SIDE, SIDE),
) -> onnx.ModelProto:
    """The network as an ONNX file holds it: image → conv, relu, global pooling, reshape, gemm (→ softmax, or sigmoid)."""
    held, nodes = weights_of(like, batch_norm=batch_norm, half=dtype == "float16"), _entry(layout, dtype)
    nodes += [helper.make_node("Conv", ["planes", "conv.w", "conv.b"], ["conv"], name="conv", kernel_shape=[1, 1])]
    after = "conv"
    if batch_norm:
        nodes.append(helper.make_node("BatchNormalization", ["conv", "g", "s", "m", "v"], ["norm"], name="norm"))
        after = "norm"
    shape = numpy_helper.from_array(np.array([batch if isinstance(batch, int) else -1, 3], np.int64), "shape")
    nodes += [
        helper.make_node("Relu", [after], ["relu"], name="relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool"),
        helper.make_node("Reshape", ["pool", "shape"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "fc.w", "fc.b"], ["scores"], name="fc", transB=1),
    ]
    nodes += [helper.make_node("Softmax", ["scores"], ["share"], name="softmax", axis=1)] if softmax else []
    nodes += [helper.make_node("Sigmoid", ["scores"], ["share"], name="sigmoid")] if sigmoid else []
    kind = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}[dtype]
    image = [batch, 3, *size] if layout == "NCHW" else [batch, *size, 3]
    answer = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "custom",
        [helper.make_tensor_value_info("pixels" if nodes[0].input[0] == "pixels" else "planes", kind, image)],
        [helper.make_tensor_value_info("share" if softmax or sigmoid else "scores", answer, [batch, len(CLASSES)])],
        [*held, shape],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def grey_model(dtype: str = "float32", size: tuple[int, int] = (SIDE, SIDE)) -> onnx.ModelProto:
    """image of one channel → its mean → dark or bright, where levels count 0 to 255."""
    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    nodes = [helper.make_node("Cast", ["grey"], ["planes"], name="entry", to=TensorProto.FLOAT)]
    nodes += [helper.make_node("GlobalAveragePool", ["planes"], ["pool"], name="pool")]
    nodes += [helper.make_node("Flatten", ["pool"], ["flat"], name="flat")]
    nodes += [helper.make_node("Gemm", ["flat", "fc.w", "fc.b"], ["scores"], name="fc", transB=1)]
    held = {"fc.w": np.array([[-1.0], [1.0]], np.float32), "fc.b": np.array([255 * THRESHOLD, -255 * THRESHOLD], np.float32)}
    graph = helper.make_graph(
        nodes,
        "grey",
        [helper.make_tensor_value_info("grey", kind, ["n", 1, *size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _CalibrationImages(CalibrationDataReader):  # type: ignore[misc] - the package has no types
    def __init__(self) -> None:
        planes = np.float32(pictures(64)[0].transpose(0, 3, 1, 2) / 127.5 - 1)
        self._left = iter([{"planes": planes[number : number + 1]} for number in range(len(planes))])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._left, None)


def quantized(folder: Path, form: str, **end: bool) -> Path:
    """The classifier of ``half``, as ONNX Runtime's own tool quantizes it: ``Q/DQ`` or ``QOperator``."""
    onnx.save(classifier("half", opset=13, **end), folder / "float.onnx")
    way = QuantFormat.QDQ if form == "Q/DQ" else QuantFormat.QOperator
    made = folder / "quantized.onnx"
    quantize_static(
        folder / "float.onnx",
        made,
        _CalibrationImages(),
        quant_format=way,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=True,  # products of bytes saturate on processors without VNNI, and answers would be of the processor
    )
    return made


def _entry(layout: str, dtype: str) -> list[onnx.NodeProto]:
    steps: list[tuple[str, dict[str, Any]]] = []
    steps += [("Cast", {"to": TensorProto.FLOAT})] if dtype == "uint8" else []
    steps += [("Transpose", {"perm": [0, 3, 1, 2]})] if layout == "NHWC" else []
    nodes, before = [], "pixels"
    for number, (op, attributes) in enumerate(steps):
        after = "planes" if number == len(steps) - 1 else f"entry{number}"
        nodes.append(helper.make_node(op, [before], [after], name=f"entry_{op}", **attributes))
        before = after
    return nodes


def weights_of(like: str, *, batch_norm: bool, half: bool) -> Sequence[onnx.TensorProto]:
    """bright · 40 (mean p − THRESHOLD) + red · 20 (p_red − p_blue) of the mean colour p, 0…1, for x = (p − mean) / std."""
    usual = usual_named(like)
    mean, std = np.array(usual.normalization.mean), np.array(usual.normalization.std)
    offset = float((mean / std).max())  # black is then 0: every channel comes through the ReLU
    bright, red = np.array(_BRIGHTNESS)[:, None], np.array(_RED)[:, None]
    in_p = bright * 40 * np.full((1, 3), 1 / 3) + red * 20 * np.array([[1.0, 0.0, -1.0]])
    bias = -bright[:, 0] * 40 * THRESHOLD
    in_x, bias = in_p * std, bias + in_p @ mean
    if usual.channels == "bgr":
        in_x = in_x[:, ::-1]
    conv = np.eye(3).reshape(3, 3, 1, 1)
    scale, shift = np.array([2.0, 0.5, 1.5]), np.array([0.1, -0.2, 0.3])
    floats = {
        "conv.w": conv / scale.reshape(3, 1, 1, 1) if batch_norm else conv,
        "conv.b": (np.full(3, offset) - shift) / scale if batch_norm else np.full(3, offset),
        "fc.w": in_x,
        "fc.b": bias - in_x.sum(axis=1) * offset,
    }
    if batch_norm:
        floats |= {"g": scale * np.sqrt(1 + 1e-5), "s": shift, "m": np.zeros(3), "v": np.ones(3)}
    kind = np.float16 if half else np.float32
    return [numpy_helper.from_array(np.ascontiguousarray(value, kind), name) for name, value in floats.items()]

"""The checks of ncnn's ``.param`` file: a line for each layer, with the numbers by which it reads and writes memory.

ncnn reads words, not lines, and cuts long ones (ncnn, src/net.cpp and src/paramdict.cpp). A file that could be read in two ways
is refused here.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, List, Mapping, Sequence

_MAGIC = "7767517"
"""The first line of a network in text (ncnn, docs/developer-guide/param-and-model-file-structure.md)."""
_WORD_MAX = 255
_ARRAY = -23300
"""An array's key is this number minus its own."""
_PADS, _SAME = ("4", "14", "15", "16"), (-233, -234)
"""A convolution's pads, and the two signs that ncnn knows for *as large as the input needs*."""
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")
_INTEGERS_ALONE = (
    "AbsVal Bias Concat Crop ExpandDims Flatten GELU GLU Input MatMul MemoryData Mish Noop PReLU Permute PixelShuffle Pooling "
    "Reorg Reshape Scale ShuffleChannel Sigmoid Slice Softmax Softplus Split Squeeze Swish TanH Tile"
)
_LAYERS = {
    **dict.fromkeys(_INTEGERS_ALONE.split(), ""),
    **dict.fromkeys(_CONVOLUTIONS, "-23310 18 19"),
    **dict.fromkeys(("CELU", "Dropout", "ELU", "ReLU", "Threshold"), "0"),
    **dict.fromkeys(("Clip", "Gemm", "HardSigmoid", "HardSwish", "SELU", "Shrink"), "0 1"),
    **dict.fromkeys(("BatchNorm", "InstanceNorm", "LayerNorm", "RMSNorm"), "1"),
    **dict.fromkeys(("BinaryOp", "GroupNorm", "Reduction", "UnaryOp"), "2"),
    **dict.fromkeys(("Exp", "Log", "Power"), "0 1 2"),
    "Eltwise": "-23301",
    "InnerProduct": "-23310",
    "Interp": "1 2",
    "LRN": "2 3 4",
    "MultiHeadAttention": "6",
    "Normalize": "2",
    "Padding": "5",
    "SDPA": "5 6",
}
"""The layers of image classifiers, and which of their numbers are fractions. The names are those of ncnn, src/layer."""
_SIGNED = {
    "Concat": "0",
    "Crop": "0 1 2 3 4 5 13 14 15 -23309 -23310 -23311",
    "ExpandDims": "-23303",
    "GLU": "0",
    "Gemm": "10",
    "Pooling": "8 18",
    "Reduction": "-23303",
    "Reshape": "0 1 2 11",
    "Slice": "1 -23300 -23302",
    "Softmax": "0",
    "Squeeze": "-23303",
}
"""The other numbers that may be negative: axes counted from the last one, and the rest of a size."""
_TEXTS = ("Crop", "Interp", "Reshape")
"""Layers whose sizes may be written as a formula."""
_INTEGER, _FRACTION = re.compile(r"-?[0-9]{1,10}"), re.compile(r"[-+.0-9e]{1,15}")
_FORMULA = re.compile(r'"[-+*/(),0-9a-z]{1,200}"')


def param_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return what is wrong with a model, or nothing; see ``model_fault``."""
    weights = sizes.get(PurePosixPath(name).with_suffix(".bin").name, 0)
    try:
        text = bytes(content).decode("ascii")
        magic, header, *lines = [line.split() for line in re.split(r"\r?\n", text.strip("\r\n"))]
        layers, blobs = map(int, header)
    except ValueError:
        return "it is no network of ncnn"
    if magic != [_MAGIC] or not text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return "it is no network of ncnn"
    if layers != len(lines) or not 0 < blobs <= sum(map(len, lines)):
        return "it is no network of ncnn"
    for words in lines:
        fault = _layer_fault(words, weights)
        if fault:
            return fault
    return ""


def _layer_fault(words: Sequence[str], weights: int) -> str:
    if not words or words[0] not in _LAYERS:
        return "it has a layer that image classifiers do not need, {}".format(ascii(words[:1])[1:-1][:100])
    kind, ends = words[0], words[2:4]
    if len(ends) < 2 or not all(end.isdigit() and len(end) < 5 for end in ends) or max(map(len, words)) > _WORD_MAX:
        return "a layer {} of it is not written as ncnn writes one".format(kind)
    settings = [word.partition("=") for word in words[4 + int(ends[0]) + int(ends[1]) :]]
    numbers: List[int] = []
    for key, _, value in settings:
        fault = _setting_fault(kind, key, value, numbers)
        if fault:
            return "a layer {} of it {}".format(kind, fault)
    most = max(numbers, default=0)
    if kind == "MemoryData":
        most = 1
        for number in numbers:
            most *= max(number, 1)
    if most > 8 * weights:  # no weight takes less than a bit
        return "a layer {} of it would take {:,} numbers, and its weights have {:,} bytes".format(kind, most, weights)
    return ""


def _setting_fault(kind: str, key: str, value: str, numbers: List[int]) -> str:
    """Return what is wrong with one setting of a layer, or nothing; its integers join ``numbers``."""
    said = "has the setting {}".format(ascii(key + "=" + value)[:100])
    if not _INTEGER.fullmatch(key):
        return said
    if value.startswith('"'):
        return "" if kind in _TEXTS and _FORMULA.fullmatch(value) else said
    values = value.split(",")
    if int(key) <= _ARRAY:
        count, *values = values
        if count != str(len(values)):
            return said
    elif len(values) != 1:
        return said
    if key in _LAYERS[kind].split():
        return "" if all(map(_FRACTION.fullmatch, values)) else said
    for word in values:
        if not _INTEGER.fullmatch(word) or not _is_in_range(kind, key, int(word)):
            return said
        numbers.append(int(word))
    return ""


def _is_in_range(kind: str, key: str, number: int) -> bool:
    if number >= 0:
        return number < 1 << 31
    if kind in _CONVOLUTIONS and key in _PADS:
        return number in _SAME
    return key in _SIGNED.get(kind, "").split() and (number >= -4 or number == _SAME[0])

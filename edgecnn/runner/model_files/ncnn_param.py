"""The checks of ncnn's ``.param`` file: a line for each layer, with the numbers by which it reads and writes memory.

ncnn reads words, not lines, and cuts long ones (ncnn, src/net.cpp and src/paramdict.cpp). A file that could be read in two ways
is refused here. Some layers trust a stated number of channels and write by it, so channels are followed from layer to layer.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

INPUT = "in0"
"""The only tensor that a session feeds, by pnnx's name. Feeding another tensor would replace the output of a layer."""
_MAGIC = "7767517"
"""The first line of a network in text (ncnn, docs/developer-guide/param-and-model-file-structure.md)."""
_NOT_NCNN = "it is not an ncnn network"
_BYTES_MAX = 2 << 20
"""A DenseNet-121 has 35,000 bytes."""
_WORD_MAX = 255
_KEYS = {**{str(number): number for number in range(32)}, **{str(-23300 - number): number for number in range(32)}}
"""The number of each setting, by its key as a scalar or as an array. ncnn writes other keys outside its table of 32."""
_HINTS = "-23330"
"""Four numbers for each output of a layer, which ncnn reads without counting them."""
_SIDE_MAX = 4096
"""The largest side of an input. A slice may begin or end that far before the end of a side."""
_PADS, _SAME = ("4", "14", "15", "16"), (-233, -234)
"""A convolution's pads, and ncnn's two marks of a pad that is as large as the input needs."""
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")
_INTEGERS_ALONE = (
    "AbsVal Bias Concat Crop ExpandDims Flatten GELU GLU Input MatMul MemoryData Mish Noop PReLU Permute PixelShuffle Pooling "
    "Reorg Reshape Scale ShuffleChannel Sigmoid Slice Softmax Softplus Split Squeeze Swish TanH Tile"
)
_LAYERS = {
    **dict.fromkeys(_INTEGERS_ALONE.split(), ""),
    **dict.fromkeys(_CONVOLUTIONS[:2], "-23310 18"),
    **dict.fromkeys(_CONVOLUTIONS[2:], "-23310"),
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
"""The layers of image classifiers, by their names in ncnn's src/layer, and the keys of their fractional numbers."""
_PAD_MAX, _KERNEL_MAX, _SIZE_MAX, _SCALE_MAX = 256, 512, 1024, 32
_SLIDING = {**dict.fromkeys(("1", "2", "3", "11", "12", "13"), _KERNEL_MAX), **dict.fromkeys(_PADS, _PAD_MAX)}
"""A convolution's kernels, dilations, strides and pads. In a Pooling, 3 and 13 are pads."""
_LARGEST = {
    **dict.fromkeys(_CONVOLUTIONS[:2], _SLIDING),
    **dict.fromkeys(_CONVOLUTIONS[2:], {**_SLIDING, "18": _PAD_MAX, "19": _PAD_MAX, "20": _SIZE_MAX, "21": _SIZE_MAX}),
    "Interp": {"1": _SCALE_MAX, "2": _SCALE_MAX, "3": _SIZE_MAX, "4": _SIZE_MAX},
    "Padding": dict.fromkeys(("0", "1", "2", "3", "7", "8"), _PAD_MAX),
    "PixelShuffle": {"0": _SCALE_MAX},
    "Pooling": {**_SLIDING, "3": _PAD_MAX, "13": _PAD_MAX, "8": _SIZE_MAX, "18": _SIZE_MAX},
    "Reorg": {"0": _SCALE_MAX},
    "Tile": {"1": _SCALE_MAX, "-23302": _SCALE_MAX},
}
"""Largest values, in image classifiers, of the numbers by which a layer's output grows beyond its input."""
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
"""Other numbers that may be negative: axes counted from the last one, and -1 for the rest of a size."""
_TEXTS = ("Crop", "Reshape")
"""Layers whose sizes may be a formula: their outputs are not larger than their inputs."""
_ENDS = ("-23309", "-23310")
"""The arrays of a Crop's starts and ends; negative ones count from the end of the side. Its scalars do not."""
_INPUTS_MIN = {"Input": 0, "MemoryData": 0, "BinaryOp": 2, "Eltwise": 2, "MatMul": 2, "SDPA": 3}
"""Number of inputs that ncnn reads without counting them; other layers have one or more. A BinaryOp with a number has one."""
_INTEGER, _FRACTION = re.compile(r"-?[0-9]{1,10}"), re.compile(r"(?=.{1,15}$)[-+]?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]{1,2})?")
_FORMULA = re.compile(r'"[-+*/(),0-9a-z]{1,200}"')
_UNKNOWN = 0
"""Channels of a tensor with three or more dimensions, if their number is not known. None: the tensor may have fewer dimensions,
of which ncnn takes another axis for the channels (ncnn, src/layer/groupnorm.cpp and pooling.cpp)."""
_DYNAMIC = {"Convolution": "19", "ConvolutionDepthWise": "19", "Deconvolution": "28", "DeconvolutionDepthWise": "28"}
"""The setting that takes the weights, and so the channels, from another tensor."""
_CHANNEL_KEEPING = (
    "AbsVal BatchNorm Bias CELU Clip Dropout ELU Exp GELU GroupNorm HardSigmoid HardSwish InstanceNorm Interp LRN LayerNorm Log "
    "Mish Noop Normalize PReLU Power RMSNorm ReLU SELU Scale ShuffleChannel Shrink Sigmoid Softmax Softplus Split Swish TanH "
    "Threshold UnaryOp"
)
_STATED = {"BatchNorm": "0", "Bias": "0", "GroupNorm": "1", "InstanceNorm": "0", "PReLU": "0", "Scale": "0"}
"""The setting that states the number of channels."""


def param_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return what is wrong with a model, or an empty text; see ``model_fault``."""
    if len(content) > _BYTES_MAX:
        return "it is longer than the network of any image classifier"
    weights = sizes.get(PurePosixPath(name).with_suffix(".bin").name, 0)
    try:
        text = bytes(content).decode("ascii")
        magic, header, *lines = [line.split() for line in re.split(r"\r?\n", text.strip("\r\n"))]
        layers, blobs = (int(word) if word.isdigit() else -1 for word in header)
    except ValueError:
        return _NOT_NCNN
    if magic != [_MAGIC] or not text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return _NOT_NCNN
    if layers != len(lines) or not 0 < blobs <= sum(map(len, lines)):
        return _NOT_NCNN
    written: Set[str] = set()
    channels = ChannelsByName()
    for words in lines:
        fault = _words_fault(words) or _ends_fault(words, written) or _layer_fault(words, weights) or channels.fault(words)
        if fault:
            return fault
        outputs = words[4 + int(words[2]) :][: int(words[3])]
        written.update(outputs)
        blobs -= len(outputs)
    return "it has more outputs than its second line says" if blobs < 0 else ""


def _words_fault(words: Sequence[str]) -> str:
    """Return why ncnn would read the line differently, or an empty text: it takes a missing name from the next line."""
    if not words or words[0] not in _LAYERS:
        return "it has a layer that image classifiers do not need, {}".format(ascii(words[:1])[1:-1][:100])
    counts, longest = words[2:4], max(map(len, words))
    if len(counts) == 2 and all(count.isdigit() and len(count) < 5 for count in counts) and longest <= _WORD_MAX:
        names = 4 + sum(map(int, counts))
        if len(words) >= names and not any("=" in name for name in words[1:names]):
            return ""
    return "the line of layer {} is malformed".format(words[0])


def _ends_fault(words: Sequence[str], written: Set[str]) -> str:
    """Return why ncnn would look outside its lists for an input or an output of the layer, or an empty text."""
    kind, count, outputs = words[0], int(words[2]), int(words[3])
    least = 1 if kind == "BinaryOp" and "1=1" in words[4 + count + outputs :] else _INPUTS_MIN.get(kind, 1)
    if count < least or outputs == 0:
        return "layer {} has {} inputs and {} outputs".format(kind, count, outputs)
    unknown = next((name for name in words[4 : 4 + count] if name not in written), None)
    if unknown is not None:
        return "layer {} reads {}, which no layer before it writes".format(kind, ascii(unknown)[:100])
    names = words[4 + count :][:outputs]
    if len({*names} - written) < outputs or (INPUT in names and kind != "Input"):
        return "layer {} writes {}, which is the name of another tensor".format(kind, ascii(" ".join(names))[:100])
    return ""


def _layer_fault(words: Sequence[str], weights: int) -> str:
    kind, outputs = words[0], int(words[3])
    numbers: List[int] = []
    keys: Set[int] = set()
    for setting in words[4 + int(words[2]) + outputs :]:
        key, _, value = setting.partition("=")
        is_new = key in _KEYS and _KEYS[key] not in keys
        if not is_new or not _is_setting(kind, key, value, numbers) or _is_short(kind, key, value, outputs):
            return "layer {} has the invalid setting {}".format(kind, setting[:100])
        keys.add(_KEYS[key])
    most = max(numbers, default=0)
    if kind == "MemoryData":
        most = 1
        for number in numbers:
            most *= max(number, 1)
    if most > 8 * weights:  # no weight takes less than a bit
        return "layer {} would take {:,} numbers, and the weights file has {:,} bytes".format(kind, most, weights)
    return ""


def _is_setting(kind: str, key: str, value: str, numbers: List[int]) -> bool:
    """Return whether a layer may have this setting. Its integers are appended to ``numbers``."""
    if value.startswith('"'):
        return kind in _TEXTS and not key.startswith("-") and _FORMULA.fullmatch(value) is not None
    values = value.split(",")
    if key.startswith("-"):
        length, *values = values
        if length != str(len(values)):
            return False
    elif len(values) != 1:
        return False
    if key in _LAYERS[kind].split():
        most = _LARGEST.get(kind, {}).get(key)
        return all(_FRACTION.fullmatch(word) and (most is None or 0 <= float(word) <= most) for word in values)
    for word in values:
        if not _INTEGER.fullmatch(word) or not _is_in_range(kind, key, int(word)):
            return False
        numbers.append(int(word))
    return True


def _is_short(kind: str, key: str, value: str, outputs: int) -> bool:
    """Whether an array has fewer numbers for the outputs than ncnn reads."""
    entries = value.count(",")
    if kind == "Slice" and key in ("-23300", "-23302"):
        return entries < (outputs if key == "-23300" else outputs - 1)
    return key == _HINTS and entries < 4 * outputs


def _is_in_range(kind: str, key: str, number: int) -> bool:
    if number >= 0:
        return number <= _LARGEST.get(kind, {}).get(key, (1 << 31) - 1)
    if kind in _CONVOLUTIONS and key in _PADS:
        return number in _SAME
    if kind == "Crop" and not key.startswith("-"):
        return number == _SAME[0]
    lowest = -_SIDE_MAX if kind == "Crop" and key in _ENDS else -4
    return key in _SIGNED.get(kind, "").split() and (number >= lowest or number == _SAME[0])


def channels_fault(kind: str, channels: Optional[int], settings: Mapping[str, str]) -> str:
    """Return why a layer that states its channels must not read a tensor with ``channels``, or an empty text."""
    stated = settings.get(_STATED.get(kind, ""), "0")
    if kind not in _STATED or (kind, stated) == ("PReLU", "1") or (kind == "InstanceNorm" and settings.get("2") == "0"):
        return ""  # one slope for all channels, or no numbers of any channel
    if channels and int(stated) != channels:
        return "layer {} is of {} channels, and its input has {}".format(kind, stated, channels)
    if kind == "GroupNorm":
        groups = int(settings.get("0", "1"))
        if not channels:
            return "the channels that layer GroupNorm reads are not known"
        if not 0 < groups <= channels or channels % groups:
            return "layer GroupNorm has {} groups of {} channels".format(groups, channels)
    return ""


def channels_written(kind: str, inputs: Sequence[Optional[int]], settings: Mapping[str, str]) -> Optional[int]:
    """Return the channels of each output of a layer: ``_UNKNOWN``, or None if it may have fewer than three dimensions."""
    if kind == "Input":
        return _UNKNOWN
    if kind == "MemoryData":
        return int(settings.get("2", "0")) or None
    if None in inputs:
        return None
    counts: List[int] = [channels for channels in inputs if channels is not None]
    return _image_channels(kind, counts, settings)


def _image_channels(kind: str, inputs: Sequence[int], settings: Mapping[str, str]) -> Optional[int]:
    """Return ``channels_written`` for inputs with three or more dimensions."""
    alike = inputs[0] if len(set(inputs)) == 1 else _UNKNOWN
    if kind in _CONVOLUTIONS:
        return _UNKNOWN if settings.get(_DYNAMIC[kind], "0") != "0" else int(settings.get("0", "0"))
    if kind in _CHANNEL_KEEPING.split():
        return inputs[0]
    if kind in ("BinaryOp", "Eltwise"):
        return alike
    if kind == "Pooling":
        return None if settings.get("4", "0") != "0" else inputs[0]
    if kind == "Padding":
        return _UNKNOWN if {"7", "8"} & set(settings) else inputs[0]
    if kind == "Concat":
        if settings.get("0", "0") not in ("0", "-3"):
            return alike
        return sum(inputs) if all(inputs) else _UNKNOWN
    return None


class ChannelsByName:
    """The channels of every tensor that the layers so far have written."""

    def __init__(self) -> None:
        self._channels: Dict[str, Optional[int]] = {}

    def fault(self, words: Sequence[str]) -> str:
        """Return why a layer's line must not follow the lines before it, or an empty text; remember its outputs."""
        kind, first = words[0], 4 + int(words[2])
        last = first + int(words[3])
        settings = dict(word.split("=", 1) for word in words[last:])
        inputs = [self._channels.get(name) for name in words[4:first]]
        self._channels.update(dict.fromkeys(words[first:last], channels_written(kind, inputs, settings)))
        return channels_fault(kind, inputs[0] if inputs else None, settings)

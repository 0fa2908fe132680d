"""The channels of ncnn's tensors, followed from layer to layer: some layers trust a stated count and write by it.

A tensor is known here only while it has three or more dimensions: of fewer, ncnn takes another axis for the channels
(ncnn, src/layer/groupnorm.cpp and pooling.cpp).
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence

_UNKNOWN = 0
"""A tensor of three dimensions with any number of channels; None: of any number of dimensions."""
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")
_DYNAMIC = {"Convolution": "19", "ConvolutionDepthWise": "19", "Deconvolution": "28", "DeconvolutionDepthWise": "28"}
"""The setting by which the weights, and so the channels, come from another tensor."""
_KEEPING = (
    "AbsVal BatchNorm Bias CELU Clip Dropout ELU Exp GELU GroupNorm HardSigmoid HardSwish InstanceNorm Interp LRN LayerNorm Log "
    "Mish Noop Normalize PReLU Power RMSNorm ReLU SELU Scale ShuffleChannel Shrink Sigmoid Softmax Softplus Split Swish TanH "
    "Threshold UnaryOp"
)
_STATED = {"BatchNorm": "0", "Bias": "0", "GroupNorm": "1", "InstanceNorm": "0", "PReLU": "0", "Scale": "0"}
"""The setting with the count of channels."""


def channels_fault(kind: str, channels: Optional[int], settings: Mapping[str, str]) -> str:
    """Return why a layer that states its channels must not read a tensor with ``channels``, or nothing."""
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
    """Return the channels of each output of a layer: 0 if any number, None if it may have fewer than three dimensions."""
    if kind == "Input":
        return _UNKNOWN
    if kind == "MemoryData":
        return int(settings.get("2", "0")) or None
    if None in inputs:
        return None
    counts: List[int] = [channels for channels in inputs if channels is not None]
    return _image_channels(kind, counts, settings)


def _image_channels(kind: str, inputs: Sequence[int], settings: Mapping[str, str]) -> Optional[int]:
    """As ``channels_written``, of inputs with three or more dimensions."""
    alike = inputs[0] if len(set(inputs)) == 1 else _UNKNOWN
    if kind in _CONVOLUTIONS:
        return _UNKNOWN if settings.get(_DYNAMIC[kind], "0") != "0" else int(settings.get("0", "0"))
    if kind in _KEEPING.split():
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
    """The channels of every tensor that a layer before has written."""

    def __init__(self) -> None:
        self._channels: Dict[str, Optional[int]] = {}

    def fault(self, words: Sequence[str]) -> str:
        """Return why a layer's line must not follow those before it, or nothing; its outputs are known then."""
        kind, first = words[0], 4 + int(words[2])
        last = first + int(words[3])
        settings = dict(word.split("=", 1) for word in words[last:])
        inputs = [self._channels.get(name) for name in words[4:first]]
        self._channels.update(dict.fromkeys(words[first:last], channels_written(kind, inputs, settings)))
        return channels_fault(kind, inputs[0] if inputs else None, settings)

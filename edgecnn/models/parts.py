"""Which activations a family's blocks hold, and whether they squeeze and excite: what surgery can take out, light at import.

One row a family, since a family's networks differ in sizes alone; a test holds each network of the catalogue to its row.
"""

from __future__ import annotations

from edgecnn.values.base import Value

SILU = "SiLU"
SQUEEZE_EXCITE = "squeeze-excite"


class Parts(Value):
    """What the blocks of a network are made of, gates of squeeze-excite left out."""

    activations: tuple[str, ...]
    squeeze_excite: bool = False

    @property
    def worded(self) -> str:
        """``hard-swish and ReLU, and squeeze-excite``."""
        return f"{' and '.join(self.activations)}, {'and' if self.squeeze_excite else 'and no'} {SQUEEZE_EXCITE}"


_RELU = Parts(activations=("ReLU",))
_OF_FAMILY = {
    "lenet": Parts(activations=("scaled tanh",)),
    "alexnet": _RELU,
    "zfnet": _RELU,
    "nin": _RELU,
    "vgg": _RELU,
    "googlenet": _RELU,
    "inception-v3": _RELU,
    "plain": _RELU,
    "resnet": _RELU,
    "resnet-v2": _RELU,
    "resnext": _RELU,
    "xception": _RELU,
    "inception-resnet-v2": _RELU,
    "densenet": _RELU,
    "mobilenet-v1": _RELU,
    "shufflenet-v1": _RELU,
    "nasnet": _RELU,
    "mobilenet-v2": Parts(activations=("ReLU6",)),
    "mobilenet-v3": Parts(activations=("hard-swish", "ReLU"), squeeze_excite=True),
    "efficientnet": Parts(activations=(SILU,), squeeze_excite=True),
    "efficientnet-lite": Parts(activations=("ReLU6",)),
    "efficientnet-v2": Parts(activations=(SILU,), squeeze_excite=True),
    "shufflenet-v2": _RELU,
}


def parts_of(family: str) -> Parts:
    """The row of a family of the catalogue."""
    return _OF_FAMILY[family]

"""Read the operations of a torch network without computing: on the meta device a tensor is a shape without numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.module_tracker import ModuleTracker

from edgecnn.graph.layer_cost import Operation, Product, Window
from edgecnn.runner.pixel_recipe import ImageSize

IMAGE = 0
_NAMES = {
    "convolution": "Conv", "addmm": "Gemm", "mm": "MatMul", "bmm": "MatMul", "max_pool2d_with_indices": "MaxPool",
    "avg_pool2d": "AveragePool", "_adaptive_avg_pool2d": "GlobalAveragePool", "native_batch_norm": "BatchNormalization",
    "_native_batch_norm_legit_no_training": "BatchNormalization", "cat": "Concat",
}  # fmt: skip
"""aten's names to ONNX's."""
_IN_PLACE = (
    "add", "mul", "sub", "div", "relu", "hardtanh", "sigmoid", "silu", "hardswish", "hardsigmoid", "gelu", "tanh", "clamp",
    "native_batch_norm", "_native_batch_norm_legit_no_training", "native_dropout", "dropout", "view", "_unsafe_view", "unsqueeze",
    "squeeze", "flatten", "alias", "detach", "elu", "leaky_relu", "_softmax", "native_layer_norm", "expand", "permute",
    "transpose",
)  # fmt: skip
"""Operations that change only single values, or only the view of a tensor."""


def operations_of(network: nn.Module, size: ImageSize) -> tuple[Operation, ...]:
    """Return the operations for one image (1, 3, H, W), whose number is ``IMAGE``.

    ``network``: built on the meta device; put into evaluation mode.
    """
    network.eval()
    image = torch.empty(1, 3, *size, device="meta")
    reader = _Reader(network, image)
    with torch.no_grad(), reader.where, reader:
        network(image)
    return tuple(reader.operations)


class _Reader(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it so
    """Records every operation. A tensor has a number, and gets a new one when it is overwritten.

    All tensors are kept until the end, because Python reuses the identity of deleted objects.
    """

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.where = ModuleTracker()
        self._numbers: dict[int, int] = {id(image): IMAGE}
        self._kept: list[Tensor] = [image]
        self._weights = {id(parameter): parameter.numel() for parameter in network.parameters()}
        self._views: dict[int, int] = {}
        self._names: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = list(_tensors(args))
        reads = tuple(self._numbers[id(tensor)] for tensor in tensors if id(tensor) in self._numbers)
        outputs = [tensor for tensor in _tensors((made,)) if tensor.numel()]
        weights = [tensor for tensor in tensors if id(tensor) in self._weights or id(tensor) in self._views]
        if not reads and weights and outputs:  # a weight that is only transposed
            self._views[id(outputs[0])] = self._views.get(id(weights[0]), id(weights[0]))
            self._kept += outputs
        elif reads and outputs:
            self._record(func.overloadpacket.__name__, args, reads, (outputs, weights))
        return made

    def _record(self, name: str, args: Any, reads: tuple[int, ...], layer: tuple[list[Tensor], list[Tensor]]) -> None:
        outputs, weights = layer
        plain = name.rstrip("_")
        first = outputs[0]
        if plain == "constant_pad_nd":  # in every runtime a convolution pads by itself, as in the exported file
            self._kept.append(first)
            self._numbers[id(first)] = reads[0]
            return
        over = id(first) in self._numbers
        for tensor in outputs:
            self._numbers[id(tensor)] = len(self._kept)
            self._kept.append(tensor)
        counted = [first] if plain.startswith(("max_pool", "native_", "_native_")) else outputs
        modules = (parent.partition(".")[2] for parent in self.where.parents)  # empty for the network itself
        innermost = max(modules, key=lambda module: (bool(module), module.count(".")))
        owners = {self._views.get(id(tensor), id(tensor)) for tensor in weights}
        self.operations.append(
            Operation(
                name=self._unique(innermost or plain),
                op="ConvTranspose" if plain == "convolution" and args[6] else _NAMES.get(plain, plain),
                reads=reads,
                makes=tuple(self._numbers[id(tensor)] for tensor in counted),
                shape=tuple(first.shape),
                elements=sum(tensor.numel() for tensor in counted),
                product=_product(plain, args, first),
                window=_window(plain, args, first),
                parameters=sum(self._weights.get(owner, 0) for owner in owners),
                in_place=over or plain in _IN_PLACE,
            )
        )

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _product(name: str, args: Any, made: Tensor) -> Product | None:
    if name == "convolution":
        image, weight = args[0], args[1]
        return Product(tuple(image.shape[1:] if args[6] else made.shape[1:]), tuple(weight.shape[1:]))
    if name == "addmm":
        return Product(tuple(made.shape), (args[1].shape[-1],))
    if name in ("mm", "bmm"):
        return Product(tuple(made.shape), (args[0].shape[-1],))
    if "scaled_dot_product" in name:
        query, key, value = args[:3]
        return Product((prod(query.shape[:-1]), key.shape[-2]), (query.shape[-1] + value.shape[-1],))
    return None


def _window(name: str, args: Any, made: Tensor) -> Window | None:
    if name == "convolution":
        return Window(max(args[1].shape[2:]), max(args[3]), max(args[5]))
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        stride = args[2] if len(args) > 2 and args[2] else args[1]
        return Window(max(args[1]), max(stride), max(args[4]) if name.startswith("max") and len(args) > 4 else 1)
    if name == "_adaptive_avg_pool2d" and max(made.shape[2:]) > 1:
        share = -(-max(args[0].shape[2:]) // max(made.shape[2:]))
        return Window(share, share)
    return None

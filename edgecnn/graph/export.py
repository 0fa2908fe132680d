"""From a torch network to the trunk: opset 20, batch norms folded, a batch of 1 to 64.

The dynamo exporter is used because it folds batch norms and static padding (94 nodes for EfficientNet-Lite0, where the older one
leaves 456). Asked for an opset that it cannot convert to, it only logs that and leaves another: what came out is asserted.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from edgecnn.errors.export import WrongOpset
from edgecnn.graph.document import INPUT_NAME, OUTPUT_NAME, opset_of, save_model
from edgecnn.graph.passes.pooled_padding import fold_pooled_padding
from edgecnn.values.model_file import BATCH_MAX


def export_onnx(network: nn.Module, resolution_px: int, path: Path, opset: int = 20) -> onnx.ModelProto:
    """Write the network's graph to ``path`` and return it as written.

    The network is put into evaluation mode, in which dropout and stochastic depth do nothing.

    Args:
        network: takes float32 (batch, 3, H, W), gives float32 (batch, classes).
        resolution_px: H and W.
        path: of the ONNX file.
        opset: of the file.

    Raises:
        WrongOpset: the exporter left another one.
    """
    return export_example(network, torch.zeros(2, 3, resolution_px, resolution_px), path, opset)


def export_example(network: nn.Module, example: Tensor, path: Path, opset: int = 20) -> onnx.ModelProto:
    """The same of a network that takes what ``example`` is like.

    Args:
        network: gives float32 (batch, classes).
        example: a batch of two: one of one would be taken for a constant.
        path, opset: see ``export_onnx``.

    Raises:
        WrongOpset: the exporter left another one.
    """
    network.eval()
    with quiet_exporter():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: Dim("batch", min=1, max=BATCH_MAX)},),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=opset,
            verbose=False,
        )
    if program is None:
        raise TypeError("torch.onnx.export(dynamo=True) returned no program")
    model: onnx.ModelProto = program.model_proto
    if opset_of(model) != opset:
        raise WrongOpset(wanted=opset, found=opset_of(model), exporter=f"torch {torch.__version__}")
    fold_pooled_padding(model.graph)
    save_model(model, path)
    return onnx.load(path)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """The exporter talks of its own internals; what matters is asserted afterwards."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)

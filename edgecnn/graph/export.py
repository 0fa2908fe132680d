"""From a torch network to the trunk: opset 20, batch norms folded, batches of 1 to 64, checked against the network on real
images.

The dynamo exporter folds batch norms and static padding: EfficientNet-Lite0 has 94 nodes instead of the older exporter's 456. If
it cannot convert to the requested opset, it only logs that and writes another, so the result is asserted.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from edgecnn.errors.graph import (
    ROUNDING_DECIDES,
    WRONG_OPSET,
    ExportDisagrees,
    network_not_exported,
    program_not_made,
)
from edgecnn.graph.checks import CHECK_IMAGES, Logits, compare_logits, onnx_logits, spread_images
from edgecnn.graph.macs import mac_table
from edgecnn.graph.node_folding import fold_pooled_padding
from edgecnn.graph.onnx_file import INPUT_NAME, OUTPUT_NAME, opset_of, save_model
from edgecnn.graph.thresholds import write_thresholds
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.failures import require_room
from edgecnn.values.model_file import BATCH_MAX
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress


def export_onnx(network: nn.Module, resolution_px: ImageSize, path: Path, opset: int = 20) -> onnx.ModelProto:
    """Write the network's graph to ``path`` and return it as written.

    The network is put into evaluation mode, in which dropout and stochastic depth do nothing.

    ``network``: takes float32 (batch, 3, H, W), gives float32 (batch, classes). ``resolution_px``: H and W. Raises WRONG_OPSET:
    the exporter wrote another opset. NETWORK_NOT_EXPORTED: torch cannot export it.
    """
    return export_example(network, torch.zeros(2, 3, *resolution_px), path, opset)


def export_example(network: nn.Module, example: Tensor, path: Path, opset: int = 20) -> onnx.ModelProto:
    """Export a network whose input is like ``example``.

    ``network``: gives float32 (batch, classes). ``example``: a batch of two, since a batch of one would become a constant. Raises
    WRONG_OPSET: the exporter wrote another opset.
    """
    network.eval()
    with quiet_exporter():
        try:
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
        except torch.onnx.OnnxExporterError as error:
            raise network_not_exported(error=error) from error
    if program is None:
        raise TypeError("torch.onnx.export(dynamo=True) returned no program")
    model: onnx.ModelProto = program.model_proto
    if opset_of(model) != opset:
        raise WRONG_OPSET(wanted=opset, found=opset_of(model), exporter=f"torch {torch.__version__}")
    fold_pooled_padding(model.graph)
    save_model(model, path)
    return onnx.load(path)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the exporter's messages. The caller checks the result."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(action="ignore"):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


_PROGRAM_BYTES = 8 << 20
"""Upper limit of a program's size without weights, which is 1.0 MB for EfficientNet-B0."""


def save_program(network: nn.Module, resolution_px: ImageSize, path: Path) -> None:
    """Write the network as an ``ExportedProgram`` with a batch of 1 to 64.

    The network is put into evaluation mode, in which dropout and stochastic depth do nothing. Nothing is folded or fused here.

    ``network``: takes float32 (batch, 3, H, W), gives float32 (batch, classes). ``path``: of the ``.pt2`` file. The file contains
    its own name, so the bytes are the same only for the same name. Raises PROGRAM_NOT_MADE: torch refuses the network.
    """
    network.eval()
    example = torch.zeros(2, 3, *resolution_px)  # a batch of one would become a constant
    try:
        program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("batch", min=1, max=BATCH_MAX)},))
        # torch aborts the whole process if the disk is full while it writes this file.
        require_room(path.parent, sum(tensor.nbytes for tensor in network.state_dict().values()) + _PROGRAM_BYTES)
        torch.export.save(program, path)
    except OSError:
        raise
    except Exception as error:  # torch's errors share no class, and must not stop a build that has its candidates
        raise program_not_made(error=error) from error


@dataclass(frozen=True)
class TrunkRequest:
    """The trunk to export. ``pixels``: the folder that ``prepare`` made."""

    pixels: Path
    resolution_px: ImageSize
    normalization: Normalization
    opset: int

    def feed(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Return pixels uint8 (N, H, W, 3) in the network's input format: float32 (N, 3, H, W)."""
        return self.normalization.feed(pixels)


def make_trunk(network: nn.Module, request: TrunkRequest, out: Path, tell: Progress) -> None:
    """Write ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy``; for multi-label images also
    ``thresholds.json``.

    Raises WRONG_OPSET, ExportDisagrees, ROUNDING_DECIDES, MacsUnknown: see their modules.
    """
    path = out / "model.onnx"
    model = export_onnx(network, request.resolution_px, path, request.opset)
    (out / "macs.json").write_text(mac_table(model).model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export to ONNX", 1, 3)
    shown = request.feed(spread_images(np.load(request.pixels / "validation.pixels.npy", mmap_mode="r"), CHECK_IMAGES))
    answers = torch_logits(network, shown)
    try:
        check = compare_logits(answers, onnx_logits(path, shown))
    except ExportDisagrees as found:
        _blame_rounding(network, shown, answers, found)
        raise
    (out / "check.json").write_text(check.model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export to ONNX", 2, 3)
    golden = request.feed(np.load(request.pixels / "golden" / "pixels.npy"))
    np.save(out / "golden_logits.npy", torch_logits(network, golden))
    write_thresholds(lambda pixels: torch_logits(network, request.feed(pixels)), request.pixels, out)
    tell.step("export to ONNX", 3, 3)


def _blame_rounding(network: nn.Module, shown: Logits, answers: Logits, disagreement: ExportDisagrees) -> None:
    """Raise ROUNDING_DECIDES if fp64 and fp32 differ by at least half of the graph's difference, else the graph is at fault."""
    exact = torch_logits(copy.deepcopy(network).double(), shown.astype(np.float64))
    apart = float(np.max(np.abs(answers - exact)))
    if apart > max(disagreement.fields["allowed"], disagreement.fields["max_abs_diff"] / 2):
        raise ROUNDING_DECIDES(max_abs_diff=apart, allowed=disagreement.fields["allowed"])


_THREADS = 4


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Use the same number of threads on every computer, because sums are split among threads and outputs are stored."""
    before = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def torch_logits(network: nn.Module, feed: npt.NDArray[np.floating[Any]], batch: int = 16) -> Logits:
    """Return the network's logits in evaluation mode, float32 (N, classes), for a batch (N, 3, H, W)."""
    network.eval()
    with torch.inference_mode(), fixed_threads():
        parts = [network(torch.from_numpy(feed[start : start + batch])).numpy() for start in range(0, len(feed), batch)]
    return np.concatenate(parts).astype(np.float32)

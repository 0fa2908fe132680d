"""The adopt stage's work in order: the trunk of a brought file, multiply-adds, the check on real images, golden answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.errors.export import ANEW, TrunkDisagrees
from edgecnn.graph.adopt import adopt, describe_changes, holds_halves
from edgecnn.graph.checks import CHECK_IMAGES, TOLERANCE, ExportCheck, Logits, onnx_logits, spread
from edgecnn.graph.custom_file import as_onnx, opened
from edgecnn.graph.document import opset_of, save_model
from edgecnn.graph.macs import mac_table
from edgecnn.graph.passes.batch_norm import fold_batch_norms
from edgecnn.graph.passes.pooled_padding import fold_pooled_padding
from edgecnn.graph.run_shapes import shapes_by_running
from edgecnn.runner.pixels import to_feed
from edgecnn.values.custom_model import Feeding, GraphEntry
from edgecnn.values.stage import Progress


@dataclass(frozen=True)
class CustomRequest:
    """``pixels`` is the folder that ``prepare`` made."""

    model: Path
    pixels: Path
    entry: GraphEntry
    feeding: Feeding


def make_custom_trunk(request: CustomRequest, out: Path, tell: Progress) -> None:
    """Write ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy``.

    Raises:
        EdgecnnError: one of ``errors.brought``; MacsUnknown.
    """
    tell.step("export", 0, 3)
    path = out / "model.onnx"
    theirs, entry = as_onnx(request.model, request.entry)
    model = adopt(theirs, entry, request.feeding.channels, request.model)
    if entry.quantized is None:
        fold_batch_norms(model.graph)
        fold_pooled_padding(model.graph)
    save_model(model, path)
    known = shapes_by_running(path, entry.resolution_px) if entry.quantized else {}
    (out / "macs.json").write_text(mac_table(onnx.load(path), known).model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export", 1, 3)
    session = opened(request.model, request.entry)
    shown = spread(np.load(request.pixels / "choose.pixels.npy", mmap_mode="r"), CHECK_IMAGES)
    change = describe_changes(entry, request.feeding.channels, opset_of(model))
    change = change if request.entry.form is None else f"exported to ONNX and {change}"
    check = _held(
        session.answers(shown, request.feeding),
        _trunk(path, shown, request, change),
        _Compared(request, entry.ends_in_softmax, change, holds_halves(theirs)),
    )
    (out / "check.json").write_text(check.model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export", 2, 3)
    np.save(out / "golden_logits.npy", _trunk(path, np.load(request.pixels / "golden" / "pixels.npy"), request, change))
    tell.step("export", 3, 3)


def _trunk(path: Path, pixels: npt.NDArray[np.uint8], request: CustomRequest, change: str) -> Logits:
    norm = request.feeding.normalization
    try:
        found = onnx_logits(path, to_feed(pixels, "float32", "NCHW", norm.mean, norm.std))
    except EdgecnnError:
        raise
    except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no class but Exception
        because = f"{change}, it does not run: {' '.join(str(error).split())[:300]}"
        raise CustomModelUnusable(path=request.model, because=because, hint=ANEW) from error
    if found.shape != (len(pixels), request.entry.classes):
        because = f"{change}, it answers {len(pixels)} images with {found.shape}"
        raise CustomModelUnusable(path=request.model, because=because, hint=ANEW)
    return found


class _Compared(NamedTuple):
    request: CustomRequest
    softmax: bool
    """The last one was left out of the trunk."""
    change: str
    halves: bool


def _held(file: Logits, trunk: Logits, compared: _Compared) -> ExportCheck:
    """The file's own answers against the trunk's, as shares where the file ends in a softmax."""
    ours = _softmax(trunk) if compared.softmax else trunk
    check = ExportCheck(
        images=len(file),
        max_abs_diff=float(np.max(np.abs(file - ours))),
        top1_agreement=float(np.mean(file.argmax(axis=1) == ours.argmax(axis=1))),
    )
    # Half-precision files round every layer, and a fold rounds elsewhere.
    share = TOLERANCE * (20 if compared.halves else 1)
    allowed = share * float(file.max() - file.min())
    if not check.max_abs_diff <= allowed:
        raise TrunkDisagrees(
            path=compared.request.model,
            change=compared.change,
            max_abs_diff=check.max_abs_diff,
            allowed=allowed,
            images=check.images,
        )
    return check


def _softmax(logits: Logits) -> Logits:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))

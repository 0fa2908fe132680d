"""The adopt stage's work in order: the trunk of a custom file, multiply-adds, the check on real images, golden answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from scipy.special import expit, softmax

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.errors.export import ANEW, REPORT, TrunkDisagrees
from edgecnn.errors.wording import reason_in
from edgecnn.graph.checks import CHECK_IMAGES, TOLERANCE, ExportCheck, Logits, onnx_logits, spread
from edgecnn.graph.custom.adopt import adopt, describe_changes, holds_halves
from edgecnn.graph.custom.file import as_onnx, opened
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_file import opset_of, save_model
from edgecnn.graph.passes.folding import fold_batch_norms, fold_pooled_padding
from edgecnn.graph.sessions import Level, answers, session_of
from edgecnn.graph.thresholds import write_thresholds, write_unchosen
from edgecnn.runner.pixel_recipe import ImageSize
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
    """Write ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy``; of several labels ``thresholds.json``.

    Raises EdgecnnError: one of ``errors.custom_model``; MacsUnknown.
    """
    tell.step("export to ONNX", 0, 3)
    path = out / "model.onnx"
    theirs, entry = as_onnx(request.model, request.entry)
    entry = _with_the_end_of(entry, request.entry)
    model = adopt(theirs, entry, request.feeding.channels, request.model)
    if entry.quantized is None:
        fold_batch_norms(model.graph)
        fold_pooled_padding(model.graph)
    save_model(model, path)
    known = shapes_by_running(path, entry.resolution_px) if entry.quantized else {}
    (out / "macs.json").write_text(mac_table(onnx.load(path), known).model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export to ONNX", 1, 3)
    session = opened(request.model, request.entry)
    shown = spread(np.load(request.pixels / "validation.pixels.npy", mmap_mode="r"), CHECK_IMAGES)
    change = describe_changes(entry, request.feeding.channels, opset_of(model))
    change = change if request.entry.form is None else f"exported to ONNX and {change}"
    file, trunk = session.answers(shown, request.feeding), _trunk(path, shown, request, change)
    check = ExportCheck.of(file, _as_the_file(trunk, entry))
    # Half-precision files round every layer, and a fold rounds elsewhere.
    allowed = TOLERANCE * (20 if holds_halves(theirs) else 1) * float(file.max() - file.min())
    if not check.max_abs_diff <= allowed:
        hint = ANEW if entry.opset != opset_of(model) or entry.batch is not None else REPORT
        raise TrunkDisagrees(path=request.model, change=change, max_abs_diff=check.max_abs_diff, allowed=allowed, hint=hint)
    (out / "check.json").write_text(check.model_dump_json(indent=1) + "\n", encoding="utf-8")
    tell.step("export to ONNX", 2, 3)
    np.save(out / "golden_logits.npy", _trunk(path, np.load(request.pixels / "golden" / "pixels.npy"), request, change))
    if entry.ends_in_sigmoid:
        write_unchosen(entry.classes, out)
    write_thresholds(lambda pixels: _trunk(path, pixels, request, change), request.pixels, out)
    tell.step("export to ONNX", 3, 3)


def _with_the_end_of(entry: GraphEntry, found: GraphEntry) -> GraphEntry:
    """A file of torch is read once more as ONNX, where its softmax may stand in sight; what images showed of its end stays."""
    softmax = entry.ends_in_softmax and (found.ends_in_softmax or found.ends_in_shares)
    ends = {"ends_in_softmax": softmax, "ends_in_shares": found.ends_in_shares and not softmax}
    return entry.model_copy(update={**ends, "ends_in_sigmoid": found.ends_in_sigmoid})


def _as_the_file(logits: Logits, entry: GraphEntry) -> Logits:
    """What the file answers itself."""
    if entry.ends_in_sigmoid:
        return np.asarray(expit(logits))
    if entry.ends_in_shares:
        return np.exp(logits)
    return np.asarray(softmax(logits, axis=1)) if entry.ends_in_softmax else logits


def _trunk(path: Path, pixels: npt.NDArray[np.uint8], request: CustomRequest, change: str) -> Logits:
    try:
        found = onnx_logits(path, request.feeding.normalization.feed(pixels))
    except EdgecnnError:
        raise
    except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no class but Exception
        because = f"{change}, it does not run: {reason_in(error)}"
        raise CustomModelUnusable(path=request.model, because=because, hint=ANEW) from error
    if found.shape != (len(pixels), request.entry.classes):
        because = f"{change}, it answers {len(pixels)} images with {found.shape}"
        raise CustomModelUnusable(path=request.model, because=because, hint=ANEW)
    return found


def shapes_by_running(path: Path, resolution_px: ImageSize) -> dict[str, list[int]]:
    """Every tensor that a node makes to its shape, from one run on a black image.

    ``path``: of a trunk: its input is ``image`` float32 (batch, 3, H, W).
    """
    model = onnx.load(path)
    made = [name for node in model.graph.node for name in node.output if name]
    session = session_of(model, Level.ORT_DISABLE_ALL, outputs=made)
    black = np.zeros((1, 3, *resolution_px), np.float32)
    return {name: list(np.shape(value)) for name, value in answers(session, black).items()}

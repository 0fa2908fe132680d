"""The single access to a custom file of any form: its metadata, its own outputs, its ONNX, and its trunk.

Before the graph is rewritten, the unmodified file must give an image the same output in each call, whatever else is in the
batch. The same image runs alone, alone again, and in a batch, in the file's own types. A later difference is then caused by
rewriting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from scipy.special import expit, softmax

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CustomModelUnusable, custom_model_unusable
from edgecnn.errors.graph import EXPORT_AGAIN, MacsUnknown, trunk_disagrees
from edgecnn.errors.wording import reason_in
from edgecnn.graph.checks import (
    CHECK_IMAGES,
    INTEGER_TOLERANCE,
    TOLERANCE,
    ExportCheck,
    Level,
    Logits,
    onnx_logits,
    run_outputs,
    session_of,
    spread_images,
)
from edgecnn.graph.custom.onnx_entry import digest_of_model, evaluation_hint, parameters_of, read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk, describe_changes, has_half_precision
from edgecnn.graph.macs import mac_table
from edgecnn.graph.node_folding import fold_batch_norms, fold_pooled_padding
from edgecnn.graph.onnx_file import external_files, fixed_batch, opset_of, save_model
from edgecnn.graph.thresholds import write_thresholds, write_unchosen
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import Feeding, GraphEntry, TorchForm
from edgecnn.values.layers import MacTable
from edgecnn.values.preprocessing import Normalization, PixelRecipe
from edgecnn.values.stage import Key, Progress


class AnsweringFile(Protocol):
    """An open custom file."""

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """Return the file's own output, float32 (N, classes), for pixels uint8 (N, H, W, 3)."""


class FileDescription(NamedTuple):
    """A file's own description."""

    entry: GraphEntry
    parameters: int


def read_file(path: Path, form: TorchForm | None, resolution_px: ImageSize | None, output: str | None = None) -> FileDescription:
    """Return the input, output and parameters of a custom file.

    ``output``: the name of the class scores, if an ONNX file has several outputs.

    Raises EdgecnnError: an error of ``errors.custom_model``; NOT_AN_ONNX_MODEL, EXTERNAL_DATA_OUTSIDE, EXTERNAL_DATA_MISSING.
    """
    if form is not None and output is not None:
        because = f"model.output chooses among the outputs of an ONNX file, but this is a {form} file"
        raise custom_model_unusable(path=path, because=because, hint="remove model.output, and return only the class scores")
    if form == "torch.export":
        from edgecnn.graph.custom.exported_program import read_exported

        return FileDescription(*read_exported(path, resolution_px))
    if form == "TorchScript":
        from edgecnn.graph.custom.torchscript import read_script

        return FileDescription(*read_script(path, resolution_px))
    model = read_model(path)
    return FileDescription(read_entry(model, path, resolution_px, output), parameters_of(model))


def files_beside(path: Path, form: TorchForm | None) -> tuple[str, ...]:
    """Return the names of the files next to a model that contain its weights. A torch file contains its own."""
    return external_files(path) if form is None else ()


def digest_of_file(path: Path, form: TorchForm | None) -> Key:
    """Return the digest that identifies a custom model: see ``digest_of_model``."""
    return digest_of_model(path, files_beside(path, form))


def open_file(path: Path, entry: GraphEntry) -> AnsweringFile:
    """Open the file in its native runtime: ONNX Runtime, or torch.

    Raises CustomModelUnusable: it cannot be opened. CUSTOM_MODEL_HOLDS_OBJECTS: opening it would run more than a network.
    """
    if entry.form is None:
        from edgecnn.graph.custom.feeding import CustomSession

        return CustomSession(path, entry)
    from edgecnn.graph.custom.torch_model import TorchSession

    return TorchSession(path, entry)


def onnx_graph_of(path: Path, entry: GraphEntry) -> tuple[onnx.ModelProto, GraphEntry]:
    """Return the file's ONNX graph, with its input and output. Raises CustomModelUnusable: it has no form in ONNX."""
    if entry.form is None:
        return read_model(path), entry
    from edgecnn.graph.custom.torch_model import export_to_onnx

    model = export_to_onnx(path, entry)
    return model, read_entry(model, path, entry.resolution_px)


@dataclass(frozen=True)
class CustomRequest:
    """The trunk to make from a custom file. ``pixels``: the folder that ``prepare`` made."""

    model: Path
    pixels: Path
    entry: GraphEntry
    feeding: Feeding


def make_custom_trunk(request: CustomRequest, out: Path, tell: Progress) -> None:
    """Write ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy``; for multi-label models also
    ``thresholds.json``.

    Raises EdgecnnError: an error of ``errors.custom_model``.
    """
    tell.step("export to ONNX", 0, 3)
    path = out / "model.onnx"
    theirs, entry = onnx_graph_of(request.model, request.entry)
    # Only the ONNX form of a torch file may show its softmax; the end that running images found stays.
    softmax = entry.ends_in_softmax and (request.entry.ends_in_softmax or request.entry.ends_in_shares)
    ends = {"ends_in_softmax": softmax, "ends_in_shares": request.entry.ends_in_shares and not softmax}
    entry = entry.model_copy(update={**ends, "ends_in_sigmoid": request.entry.ends_in_sigmoid})
    shown = spread_images(np.load(request.pixels / "validation.pixels.npy", mmap_mode="r"), CHECK_IMAGES)
    answers = open_file(request.model, request.entry).answers(shown, request.feeding)
    tell.step("export to ONNX", 1, 3)
    try:
        change, check = _write_checked(request, (theirs, entry), (shown, answers), path)
    except EdgecnnError:
        if entry.batch != 1:
            raise
        change, check = _write_checked(request, (theirs, entry), (shown, answers), path, keeps_batch=True)
    known = shapes_by_running(path, entry.resolution_px) if entry.quantized else {}
    (out / "macs.json").write_text(count_macs(path, request.model, known).model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "check.json").write_text(check.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if fixed_batch(path) is not None:
        tell.note(f"{request.model.name} computes one image a call, so its kits have no larger batches")
    tell.step("export to ONNX", 2, 3)
    np.save(out / "golden_logits.npy", _trunk_logits(path, np.load(request.pixels / "golden" / "pixels.npy"), request, change))
    if entry.ends_in_sigmoid:
        write_unchosen(entry.classes, out)
    write_thresholds(lambda pixels: _trunk_logits(path, pixels, request, change), request.pixels, out)
    tell.step("export to ONNX", 3, 3)


def _write_checked(
    request: CustomRequest,
    graph: tuple[onnx.ModelProto, GraphEntry],
    shown: tuple[npt.NDArray[np.uint8], Logits],
    path: Path,
    *,
    keeps_batch: bool = False,
) -> tuple[str, ExportCheck]:
    """Write the trunk, and compare it with the file. Return the changes to the file in words, and the comparison.

    ``graph``: the file's graph and its description. ``shown``: images, and the file's outputs of them.

    Raises TRUNK_DISAGREES, CustomModelUnusable: its outputs differ, or it does not run.
    """
    theirs, entry = graph
    model = convert_to_trunk(theirs, entry, request.feeding.channels, request.model, keeps_batch=keeps_batch)
    if entry.quantized is None:
        fold_batch_norms(model.graph)
        fold_pooled_padding(model.graph)
    save_model(model, path)
    change = describe_changes(entry, request.feeding.channels, opset_of(model), freed=fixed_batch(model) is None)
    change = change if request.entry.form is None else f"exported to ONNX and {change}"
    pixels, file = shown
    check = ExportCheck.of(file, _as_file_outputs(_trunk_logits(path, pixels, request, change), entry))
    # Half-precision files round after every layer, and folding changes where. torch's integer kernels round otherwise than ONNX.
    share = TOLERANCE * (20 if has_half_precision(theirs) else 1)
    share = INTEGER_TOLERANCE if entry.quantized is not None and request.entry.form is not None else share
    allowed = share * float(file.max() - file.min())
    if not check.max_abs_diff <= allowed:
        better = entry.opset != opset_of(model) or entry.batch is not None
        raise trunk_disagrees(request.model, change, check.max_abs_diff, allowed, better_export=better)
    return change, check


def _as_file_outputs(logits: Logits, entry: GraphEntry) -> Logits:
    """Return the trunk's logits as the file's own outputs."""
    if entry.ends_in_sigmoid:
        return np.asarray(expit(logits))
    if entry.ends_in_shares:
        return np.exp(logits)
    return np.asarray(softmax(logits, axis=1) * np.float32(entry.share_total)) if entry.ends_in_softmax else logits


def _trunk_logits(path: Path, pixels: npt.NDArray[np.uint8], request: CustomRequest, change: str) -> Logits:
    try:
        logits = onnx_logits(path, request.feeding.normalization.feed(pixels))
    except EdgecnnError:
        raise
    except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no class but Exception
        because = f"{change}, it does not run: {reason_in(error)}"
        raise custom_model_unusable(path=request.model, because=because, hint=EXPORT_AGAIN) from error
    if logits.shape != (len(pixels), request.entry.classes):
        because = f"{change}, its output for {len(pixels)} images is {logits.shape}"
        raise custom_model_unusable(path=request.model, because=because, hint=EXPORT_AGAIN)
    return logits


def count_macs(trunk: Path, file: Path, known: Mapping[str, list[int]]) -> MacTable:
    """Return the multiply-adds of a custom file's trunk. Raises CustomModelUnusable: a shape in it is unknown before it runs."""
    try:
        return mac_table(onnx.load(trunk), known)
    except MacsUnknown as error:
        raise custom_model_unusable(path=file, because=f"{error.what}; {error.because}", hint=EXPORT_AGAIN) from error


def shapes_by_running(path: Path, resolution_px: ImageSize) -> dict[str, list[int]]:
    """Return the shape of every tensor that a node makes, from one run on a black image.

    ``path``: of a trunk, whose input is ``image`` float32 (batch, 3, H, W).
    """
    model = onnx.load(path)
    made = [name for node in model.graph.node for name in node.output if name]
    session = session_of(model, Level.ORT_DISABLE_ALL, outputs=made)
    black = np.zeros((1, 3, *resolution_px), np.float32)
    return {name: list(np.shape(value)) for name, value in run_outputs(session, black).items()}


_SCALES: Final = (
    Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    Normalization(mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255)),
)
"""The expected input range is still unknown: −1 to 1, or 0 to 255."""
_LEVELS: Final = (40, 128, 216)
"""Mean of the noise in each image. Three images, because a fixed batch of three is rare."""
_AGAIN: Final = 1e-4
"""Allowed difference between two calls with the same image, as a share of the outputs' spread."""
_AMONG_OTHERS: Final = 0.05
"""Allowed difference in half precision between a batch of one and a larger one, which may use other kernels."""
_ROUNDING: Final = 1e-5
"""Allowed difference in single precision, as a share of the largest output: the limit if outputs are nearly equal."""
_RANDOM: Final = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
_IN_NAME_ONLY: Final = "export it with a batch axis that is dynamic throughout, or with a fixed batch of 1"


def require_steady(path: Path, entry: GraphEntry) -> None:
    """Return if the file gives an image the same output in each call, whatever else is in the batch.

    Raises CustomModelUnusable: it does not, it accepts only one image although its batch is open, or it cannot run.
    """
    session = open_file(path, entry)
    draw = np.random.default_rng(0)
    shape = (len(_LEVELS), *entry.resolution_px, 3)
    pixels = (np.reshape(_LEVELS, (-1, 1, 1, 1)) + draw.integers(-39, 40, shape)).astype(np.uint8)
    for scale in _SCALES if entry.form is None else _SCALES[:1]:  # torch runs full batches, which take time
        _require_steady_range(session, pixels, _plain_feeding(scale, entry), entry, path)


def _require_steady_range(
    session: AnsweringFile, pixels: npt.NDArray[np.uint8], feeding: Feeding, entry: GraphEntry, path: Path
) -> None:
    alone, again = (session.answers(pixels[:1], feeding) for _ in range(2))
    try:
        together = session.answers(pixels, feeding)
    except CustomModelUnusable as error:
        because = f"its batch axis is declared open, but it accepts only one image; with {len(pixels)} {error.because}"
        raise custom_model_unusable(path=path, because=because, hint=_IN_NAME_ONLY) from error
    if not all(np.isfinite(answers).all() for answers in (alone, again, together)):
        return  # for this range only; if it holds for every range, planning reports it
    spread = float(np.ptp(together)) or 1.0
    if np.abs(again - alone).max() > _AGAIN * spread:
        because = f"its output for the same image differs from call to call{_random_node(path, entry)}"
        hint = f"{_evaluation_hint(path, entry)}, and remove random operators"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    apart = float(np.abs(together[:1] - alone).max())
    if apart > max(TOLERANCE * spread, _ROUNDING * float(np.abs(together).max())) and apart > _tolerance(path, entry) * spread:
        because = "its output for an image depends on the other images in the batch"
        hint = f"{_evaluation_hint(path, entry)}, and do not compute over the batch axis"
        raise custom_model_unusable(path=path, because=because, hint=hint)


def _evaluation_hint(path: Path, entry: GraphEntry) -> str:
    if entry.form is not None:
        return "call model.eval() before the export"
    return evaluation_hint(read_model(path))


def _tolerance(path: Path, entry: GraphEntry) -> float:
    """Return the allowed difference between a batch of one and a larger one; torch programs do not show whether they use fp16."""
    if entry.quantized is not None:
        return INTEGER_TOLERANCE
    return _AMONG_OTHERS if entry.form is not None or has_half_precision(read_model(path)) else TOLERANCE


def _plain_feeding(scale: Normalization, entry: GraphEntry) -> Feeding:
    size = entry.resolution_px
    return Feeding(
        name="plain",
        pixels=PixelRecipe(resize_px=size, crop_px=size, interpolation="bilinear"),
        normalization=scale,
        channels="grey" if entry.colours == 1 else "rgb",
    )


def _random_node(path: Path, entry: GraphEntry) -> str:
    """Return the first node of an ONNX file that draws random numbers, for an error."""
    if entry.form is not None:
        return ""
    nodes = read_model(path).graph.node
    return next((f" ({node.op_type} {node.name or node.output[0]})" for node in nodes if node.op_type in _RANDOM), "")

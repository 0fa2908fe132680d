"""The tiny network as a kit, made by the stage that makes every kit: trying a runtime is the kit's own self-test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgecnn.backends.registry import backend_for
from edgecnn.data.golden import write_golden
from edgecnn.stages.package import PackageStage, runner_digest
from edgecnn.values.candidate import Candidate, Runtime
from edgecnn.values.data.preprocessing import Normalization, PixelRecipe, Preprocessing
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    EngineSpec,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)
from edgecnn.values.stage import Role

if TYPE_CHECKING:
    import numpy.typing as npt


SIDE_PX: Final = 32
PREPROCESSING = Preprocessing(
    pixels=PixelRecipe(resize_px=SIDE_PX, crop_px=SIDE_PX, interpolation="bilinear"),
    normalization=Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
)


def make_tiny_kit(candidate: Candidate, session: SessionSpec, out: Path, engine: EngineSpec | None = None) -> Path:
    """A kit in ``out / "kit"`` whose golden logits were worked out without any runtime.

    ``out``: an existing empty folder. ``engine``: of a runtime that builds one first.
    """
    model, pixels, kit = (out / name for name in ("model", "pixels", "kit"))
    for folder in (model, pixels, kit):
        folder.mkdir()
    write_golden((), PREPROCESSING.pixels.of_runner(), pixels)
    (pixels / "labels.json").write_text(json.dumps([f"class {number}" for number in range(CLASSES)]), encoding="utf-8")
    _write_model(candidate, session, engine, model)
    golden = np.load(pixels / "golden" / "pixels.npy", allow_pickle=False)
    np.save(model / "golden_logits.npy", answers(PREPROCESSING.normalization.feed(golden)))
    stage = PackageStage(
        inputs={}, name=candidate.id, candidate=candidate, preprocessing=PREPROCESSING, runner_sha256=runner_digest()
    )
    stage.write({Role("model"): model, Role("pixels"): pixels}, kit)  # the doctor tests it itself
    return kit


def _write_model(candidate: Candidate, session: SessionSpec, engine: EngineSpec | None, model: Path) -> None:
    """ONNX as it is; for LiteRT and ncnn it is converted, which tries the converter too. A browser's kit carries a page and the
    runtime."""
    converted = candidate.model_copy(update={"session_options": session.options})
    if candidate.runtime is Runtime.LITERT:
        from edgecnn.quantization.litert_model import convert as convert_for_litert  # imports onnx

        convert_for_litert(FILE, converted, model)
    elif candidate.runtime is Runtime.NCNN or candidate.runtime.in_a_browser:
        backend_for(candidate.runtime).convert(FILE, converted, model)
    else:
        shutil.copyfile(FILE, model / "model.onnx")
        (model / MODEL_FILE_NAME).write_text(_described(candidate, session, engine).to_json(), encoding="utf-8")


def _described(candidate: Candidate, session: SessionSpec, engine: EngineSpec | None) -> ModelFile:
    """No package is required by version: an old runtime that computes rightly works, and its range is said beside it."""
    return ModelFile(
        session=session,
        model=ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=CLASSES)),
        requirements=ModelRequirements(packages={}),
        logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        engine=engine,
    )


FILE: Final = Path(__file__).with_name("tiny.onnx")
CLASSES: Final = 4
STRIDE: Final = 2
_CHANNELS = 8


def weights() -> dict[str, npt.NDArray[np.float32]]:
    """Every weight by its name in the file, float32: sixteenths between -0.5 and 0.5, by a rule instead of a random seed."""
    shapes = {
        "conv.weight": (_CHANNELS, 3, 3, 3),
        "conv.bias": (_CHANNELS,),
        "depthwise.weight": (_CHANNELS, 1, 3, 3),
        "depthwise.bias": (_CHANNELS,),
        "head.weight": (CLASSES, _CHANNELS),
        "head.bias": (CLASSES,),
    }
    return {name: _by_rule(shape, seed) for seed, (name, shape) in enumerate(shapes.items(), start=3)}


def answers(feed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the network must answer, worked out in float64.

    ``feed``: float32 (N, 3, SIDE_PX, SIDE_PX). Returns logits, float32 (N, CLASSES).
    """
    given = {name: array.astype(np.float64) for name, array in weights().items()}
    whole = np.einsum("nchwij,ocij->nohw", _windows(feed), given["conv.weight"])
    first = np.maximum(whole + given["conv.bias"][:, None, None], 0)
    each = np.einsum("nchwij,cij->nchw", _windows(first), given["depthwise.weight"][:, 0])
    second = np.maximum(each + given["depthwise.bias"][:, None, None], 0)
    logits: npt.NDArray[np.float64] = second.mean(axis=(2, 3)) @ given["head.weight"].T + given["head.bias"]
    return logits.astype(np.float32)


def _by_rule(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    numbers = np.arange(np.prod(shape), dtype=np.int64)
    return ((((numbers + seed) ** 2 * 7 + numbers * seed) % 17 - 8) / 16).astype(np.float32).reshape(shape)


def _windows(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """3x3 windows with a border of one zero, a stride apart: (N, C, H, W, 3, 3)."""
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::STRIDE, ::STRIDE]

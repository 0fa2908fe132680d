"""Quantization-aware training from beginning to end, or from where a killed one stopped: the files of the aware stage.

It begins where post-training quantization ends, with ranges from the calibration images, and lets the weights learn to give the
float network's answers in spite of the rounding. What counts is the exported file: it is held against the network that learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import nn

from edgecnn.graph.checks import INTEGER_TOLERANCE, ExportCheck, compare_logits, onnx_logits, spread_images
from edgecnn.graph.export import export_onnx, torch_logits
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_file import save_model
from edgecnn.graph.quantization_nodes import absorb_clamps, quantize_biases
from edgecnn.runtimes.job import calibration_pixels, require_finite
from edgecnn.training.aware_network import Exported, calibrate, integers, rounded, rounds_inputs_alone
from edgecnn.training.beginning import TrainingInputs, material_for
from edgecnn.training.checkpoint import begin, finish, is_made
from edgecnn.training.images.material import Material
from edgecnn.training.loop import PhaseResult, best_file, run_phase
from edgecnn.training.memory import within_memory
from edgecnn.training.process import repeatable
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import AwareSettings
from edgecnn.training.teacher import divergence, teacher_of
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress

FACTS = "aware.json"
CHECK_IMAGES = 128
_BATCH = 16


def make_aware(settings: AwareSettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write ``model.onnx``, ``macs.json``, ``golden_logits.npy`` and ``aware.json``; ``resume/`` is gone afterwards.

    Raises BATCH_TOO_LARGE, TRAINING_DIVERGED, NOTHING_TO_TRAIN_ON, ClassesDiffer, CALIBRATION_SET_TOO_SMALL,
    CALIBRATION_NOT_FINITE,
    WRONG_OPSET, ExportDisagrees, MacsUnknown: see ``AwareStage.make``.
    """
    if is_made(out, FACTS):
        return
    resume = begin(out)
    with repeatable(settings.threads):
        teacher = teacher_of(settings.arch, settings.classes, settings.preprocessing.pixels.crop_px, inputs.weights)
        material = material_for(settings, inputs, resume, tell)._replace(teacher=teacher)
        network = _calibrated(teacher, settings, inputs.pixels)
        course = _Course(settings, inputs, material, teacher)
        before = course.standing(network)
        result = course.learn(network)
        check = course.export(network, out)
        facts = {**course.facts(result, check), "before": before, "after": course.standing(network)}
    finish(out, FACTS, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _calibrated(teacher: nn.Module, settings: AwareSettings, prepared: Path) -> Exported:
    pixels = calibration_pixels(prepared, settings.images)
    normalization = settings.preprocessing.normalization
    for number, feed in enumerate(_feeds(pixels, normalization)):
        require_finite(torch_logits(teacher, feed), len(pixels), number * _BATCH)
    network = rounded(teacher, settings.scheme, settings.preprocessing.pixels.crop_px)
    calibrate(network, _feeds(pixels, normalization))
    return network


def _feeds(pixels: npt.NDArray[np.uint8], normalization: Normalization) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(pixels), _BATCH):
        yield normalization.feed(pixels[start : start + _BATCH])


class _Course:
    """One training: what it learns from, is judged by, and writes."""

    def __init__(self, settings: AwareSettings, inputs: TrainingInputs, material: Material, teacher: nn.Module) -> None:
        self.settings, self.inputs, self.material, self.teacher = settings, inputs, material, teacher
        shown = spread_images(np.load(inputs.pixels / "validation.pixels.npy", mmap_mode="r"), CHECK_IMAGES)
        self.shown = settings.preprocessing.normalization.feed(shown)
        self.wanted = torch_logits(teacher, self.shown)

    def learn(self, network: Exported) -> PhaseResult:
        """Train ``network`` and leave it with the weights of its best epoch on ``validation``."""
        reporting = {"told_as": "train with INT8 rounding", "rate_setting": "quantize.aware_learning_rate"}
        phase = Phase.taught(self.settings, self.settings.epochs, name="aware", frozen_statistics=True, **reporting)
        with within_memory(network, phase, len(self.material.decoded), on="cpu"):
            result = run_phase(network, nn.Module(), phase, self.material)
        network.load_state_dict(load_file(best_file(self.material.folder, phase.name)))
        return result

    def export(self, network: Exported, out: Path) -> ExportCheck:
        """Write the files and hold the one that ships against the network."""
        resolution_px = self.settings.preprocessing.pixels.crop_px
        path = out / "model.onnx"
        model = export_onnx(integers(network, resolution_px), resolution_px, path, self.settings.opset)
        if not rounds_inputs_alone(self.settings.scheme):  # else what clamps stays, and so do biases
            absorb_clamps(model)
            quantize_biases(model)
        save_model(model, path)
        check = compare_logits(torch_logits(network, self.shown), onnx_logits(path, self.shown), INTEGER_TOLERANCE)
        (out / "macs.json").write_text(mac_table(path).model_dump_json(indent=1) + "\n", encoding="utf-8")
        golden = np.load(self.inputs.pixels / "golden" / "pixels.npy")
        answers = torch_logits(network, self.settings.preprocessing.normalization.feed(golden))
        np.save(out / "golden_logits.npy", answers)
        return check

    def standing(self, network: Exported) -> dict[str, float]:
        """Accuracy on ``validation`` (0…1), and the divergence from the float network's answers in nats an image."""
        apart = divergence(*(torch.from_numpy(logits) for logits in (torch_logits(network, self.shown), self.wanted)))
        return {"validation_top1": self.material.validation.top1(network), "divergence_from_float": float(apart)}

    def facts(self, result: PhaseResult, check: ExportCheck) -> dict[str, Any]:
        """``aware.json`` but for the standings."""
        return {
            "start": "post-training ranges: the smallest and largest value of each activation",
            "learns_from": "the float network's answers",
            "calibration_images": self.settings.images,
            "scheme": self.settings.scheme.model_dump(mode="json"),
            "float_validation_top1": self.material.validation.top1(self.teacher),
            "epochs": [facts.model_dump(mode="json") for facts in result.epochs],
            "export": check.model_dump(mode="json"),
        }

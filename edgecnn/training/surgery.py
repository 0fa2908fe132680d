"""Run the surgery stage: replace layers of a trained network, and train the result to give the logits of the original.

Batch norm computes new statistics while the network is trained, because its inputs have changed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from edgecnn.graph.checks import spread_images
from edgecnn.graph.export import TrunkRequest, make_trunk, torch_logits
from edgecnn.models.networks import parameter_count
from edgecnn.models.surgery import apply_surgery, mean_gates
from edgecnn.training.beginning import TrainingInputs, disable_random_drops, material_for
from edgecnn.training.checkpoint import finish, is_finished, resume_folder
from edgecnn.training.loop import best_file, recompute_statistics, run_phase
from edgecnn.training.losses import divergence, load_teacher
from edgecnn.training.material import Material
from edgecnn.training.memory import TrainingProcesses, within_memory
from edgecnn.training.process import repeatable_on, torch_device
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import SurgerySettings
from edgecnn.values.stage import Progress

FACTS = "surgery.json"
STANDING_IMAGES = 128
_BATCH = 16


def make_surgery(settings: SurgerySettings, inputs: TrainingInputs, out: Path, tell: Progress) -> None:
    """Write the files of ``export`` for the changed network, and ``surgery.json``, and delete ``resume/``.

    Raises BATCH_TOO_LARGE, TRAINING_DIVERGED, NOTHING_TO_TRAIN_ON, CLASSES_DIFFER, WRONG_OPSET, ExportDisagrees,
    ROUNDING_DECIDES, MacsUnknown: see ``SurgeryStage.make``.
    """
    if is_finished(out, FACTS):
        return
    resume = resume_folder(out)
    with repeatable_on(torch_device(settings.device), settings.threads):
        teacher = load_teacher(settings.arch, settings.classes, settings.preprocessing.pixels.crop_px, inputs.weights)
        material = material_for(settings, inputs, resume, tell)._replace(teacher=teacher)
        request = TrunkRequest(
            pixels=inputs.pixels,
            resolution_px=settings.preprocessing.pixels.crop_px,
            normalization=settings.preprocessing.normalization,
            opset=settings.opset,
        )
        network = _changed_network(teacher, settings, request)
        before = _validation_figures(network, material, request)
        reporting = {"told_as": "re-train after surgery", "rate_setting": "surgery.learning_rate"}
        phase = Phase.distilled(settings, settings.surgery.epochs, name="surgery", frozen_statistics=False, **reporting)
        with within_memory(network, phase, len(material.decoded), TrainingProcesses(device=material.device)):
            result = run_phase(network, nn.Module(), phase, material)
        network.load_state_dict(load_file(best_file(resume, phase.name)))
        # Export a contiguous copy, because the exporter turns channels-last tensors into a Gather after each mean.
        make_trunk(copy.deepcopy(network).to(memory_format=torch.contiguous_format), request, out, tell)
        facts = {
            "surgery": settings.surgery.model_dump(mode="json"),
            "learns_from": "the unchanged network's answers",
            "parameters": {"before": parameter_count(teacher), "after": parameter_count(network)},
            "unchanged_validation_top1": material.validation.top1(teacher),
            "before": before,
            "after": _validation_figures(network, material, request),
            "epochs": [epoch.model_dump(mode="json") for epoch in result.epochs],
        }
    finish(out, FACTS, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _changed_network(teacher: nn.Module, settings: SurgerySettings, request: TrunkRequest) -> nn.Module:
    """Return the changed network before training, with its own batch-norm statistics.

    Dropout and stochastic depth are disabled, because the teacher's logits are computed without them.
    """
    network = apply_surgery(teacher, settings.surgery, mean_gates(teacher, _calibration(request)), request.resolution_px)
    disable_random_drops(network, nn.Dropout, StochasticDepth)
    recompute_statistics(network, _calibration(request))
    return network


def _calibration(request: TrunkRequest) -> Iterator[Tensor]:
    """Yield the calibration images in batches of equal size, to within one image, float32 (N, 3, H, W)."""
    pixels = np.load(request.pixels / "calibration.pixels.npy", mmap_mode="r")
    for part in np.array_split(np.arange(len(pixels)), max(1, round(len(pixels) / _BATCH))):
        yield torch.from_numpy(request.feed(pixels[part])).contiguous(memory_format=torch.channels_last)


def _validation_figures(network: nn.Module, material: Material, request: TrunkRequest) -> dict[str, float]:
    """Return the accuracy on ``validation`` (0…1), and the divergence from the original network in nats for each image."""
    shown = request.feed(spread_images(np.load(request.pixels / "validation.pixels.npy", mmap_mode="r"), STANDING_IMAGES))
    networks = [network] if material.teacher is None else [network, material.teacher]
    apart = divergence(*(torch.from_numpy(torch_logits(answering, shown)) for answering in networks))
    return {"validation_top1": material.validation.top1(network), "divergence_from_unchanged": float(apart)}

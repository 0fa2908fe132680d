"""Measure how fast this machine trains a network, by one short epoch on the build's images."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from edgecnn.data.images import open_source
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.training.augment import centred
from edgecnn.training.beginning import prepare_phase
from edgecnn.training.loop import run_phase
from edgecnn.training.material import DecodedImages, Material, ValidationPixels
from edgecnn.training.process import moved_to_device, repeatable_on, torch_device
from edgecnn.training.settings import TrainSettings
from edgecnn.values.stage import Progress
from edgecnn.values.training import TrainingSpeed

CPU_BATCH = 16
"""Images of a timed step on a CPU, whose speed hardly depends on the batch size. Large batches take seconds each."""
STEPS = 4
"""Number of steps. The first is not timed, because it allocates memory."""


class _Clock:
    """Progress that records the time at the end of each step, and passes it on as a measurement of speed."""

    def __init__(self, tell: Progress) -> None:
        self.steps: list[tuple[int, float]] = []
        self._tell = tell

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Record the time."""
        self.steps.append((done, time.monotonic()))
        self._tell.step("measure training speed", done, total, unit)

    def note(self, text: str) -> None:
        """Ignore the note."""


def measure_speed(settings: TrainSettings, manifest: Path, tell: Progress) -> TrainingSpeed:
    """Train a short epoch from random weights, which takes as long as with pretrained weights, and return the speed.

    ``manifest``: of the images. Raises EdgecnnError: an image is missing or damaged.
    """
    device, size = torch_device(settings.device), settings.preprocessing.pixels.crop_px
    batch = min(settings.batch_size, CPU_BATCH) if device.type == "cpu" else settings.batch_size
    source, spec = open_source(manifest), arch_named(settings.arch)
    entries = (*source.training_entries(), *source.entries("validation"))[: STEPS * batch]
    with tempfile.TemporaryDirectory() as name, repeatable_on(device, settings.threads):
        folder, clock = Path(name), _Clock(tell)
        decoded = DecodedImages(source, entries, settings.preprocessing.pixels)
        began = time.monotonic()
        decoded.hold(folder / "decoded.npy", clock)
        decode_s = time.monotonic() - began
        np.save(folder / "validation.pixels.npy", centred(decoded.read(range(min(batch, len(decoded)))), size))
        np.save(folder / "validation.labels.npy", decoded.labels[:batch])
        validation = ValidationPixels(folder, settings.preprocessing.normalization)
        clock.steps.clear()
        network, head, phase, _ = prepare_phase(settings, build_network(spec, settings.classes, seed=settings.seed))
        epoch = phase.model_copy(update={"sizes_px": (size,), "cycles": (), "batch_size": batch})
        run_phase(network, head, epoch, Material(decoded, validation, folder, clock, settings.classes, device=device))
        with moved_to_device(device, network):
            began = time.monotonic()
            validation.outputs(network)
            judge_s = time.monotonic() - began
    (first, from_s), (last, to_s) = clock.steps[min(1, len(clock.steps) - 2)], clock.steps[-1]
    return TrainingSpeed(
        decoded_per_s=len(decoded) / decode_s,
        learned_per_s=(last - first) / (to_s - from_s),
        judged_per_s=len(validation) / judge_s,
    )

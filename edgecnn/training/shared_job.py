"""What the processes that train one network are given, and where they and who started them leave each other files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from edgecnn.training.beginning import TrainingInputs
from edgecnn.training.settings import TrainSettings
from edgecnn.values.base import Value


class SharedJob(Value):
    """What each process builds the same training from."""

    settings: TrainSettings
    """With the transfer that was settled on."""
    inputs: TrainingInputs
    folder: Path
    """That holds decoded images, checkpoints and the best weights."""
    to_beat: float
    """See ``run_phase``."""


_ROOM = 16_384
"""Bytes kept for what a failure says."""


class JobFolder:
    """Where the processes and who started them leave each other files.

    Args:
        root: the folder; it is new with every start.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.job, self.start = root / "job.json", root / "start.safetensors"
        self.told, self.log = root / "told.jsonl", root / "torchrun.log"
        self.failure, self.result = root / "failure.json", root / "result.json"
        self.meeting = root / "meeting"
        """torchrun's own; each beginning of the processes has another one beside it."""

    def reserve(self) -> Path:
        """Room for a failure that is written down when the disk is full; ``fail`` takes it."""
        reserved = self.failure.with_suffix(f".{os.getpid()}")
        reserved.write_text(" " * _ROOM, encoding="utf-8")
        return reserved

    def fail(self, reserved: Path, facts: object) -> None:
        """Write down what ended this process, whole, over the blanks that are there."""
        with reserved.open("r+b") as stream:
            stream.write(json.dumps(facts).encode())
        reserved.replace(self.failure)

"""Curves of a training for TensorBoard, written while it runs: a progress display that passes everything on.

The training does not know of it, so no key and no byte of a result depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors.base import system_reason
from edgecnn.errors.building import OUTPUT_UNWRITABLE
from edgecnn.installed import require_packages
from edgecnn.values.stage import Pacing, Plotting, Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

DISTRIBUTION = "tensorboard"


class Curves:
    """Writes event files of each training step into a separate folder, and replaces earlier points.

    Args:
        folder: for the curves of this build; made if it does not exist.
        tell: the progress display that everything is passed on to.

    Raises:
        MissingPackage: tensorboard is not installed.
        OUTPUT_UNWRITABLE: the folder cannot be made.
    """

    def __init__(self, folder: Path, tell: Progress) -> None:
        require_packages((DISTRIBUTION,), extra=DISTRIBUTION, needed_for="--tensorboard")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OUTPUT_UNWRITABLE(path=folder, because=system_reason(error)) from error
        self._folder, self._tell = folder, tell
        self._step = "train"
        self._writer: SummaryWriter | None = None
        self._drawn: set[tuple[str, int]] = set()
        self._given_up = False

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Pass on."""
        self._tell.step(what, done, total, unit)

    def note(self, text: str) -> None:
        """Pass on."""
        self._tell.note(text)

    def part(self, name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> None:
        """Pass on."""
        if isinstance(self._tell, Pacing):
            self._tell.part(name, number, parts, seconds_left, complete=complete)

    def begin(self, step_id: str) -> None:
        """Begin another step."""
        self.close()
        if isinstance(self._tell, Plotting):
            self._tell.begin(step_id)
        self._step, self._drawn = step_id.replace(":", "-"), set()

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch as ``phase/name``, each epoch once.

        A file that cannot be written ends the drawing, with a note, and not the training.
        """
        if (phase, epoch) in self._drawn:
            return
        self._drawn.add((phase, epoch))
        if isinstance(self._tell, Plotting):
            self._tell.plot(phase, epoch, figures)
        if self._given_up:
            return
        try:
            self._draw(phase, epoch, figures)
        except OSError as error:
            self._given_up, self._writer = True, None
            self._tell.note(f"no further curves are drawn in {self._folder}: {system_reason(error)}")

    def close(self) -> None:
        """Write the remaining points."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _draw(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # with the first figure: then torch is loaded anyway

            self._writer = SummaryWriter(str(self._folder / self._step), purge_step=0)
        for name, value in figures.items():
            self._writer.add_scalar(f"{phase}/{name}", value, epoch)
        self._writer.flush()

"""Progress on stderr: live bars on a terminal, plain lines elsewhere, nothing with ``--quiet``; and curves for TensorBoard."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from edgecnn.errors.base import system_reason, visible
from edgecnn.errors.building import OUTPUT_UNWRITABLE
from edgecnn.installed import require_packages
from edgecnn.render.wording import duration_text
from edgecnn.values.stage import Pacing, Plotting, Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


PLAIN_EVERY_S = 5.0
"""Time between two lines of a step in a plain log."""
SHORT_STEP_S = 2.0
"""A shorter step prints no line in a plain log."""


_VALIDATION_FIGURES = (
    ("validation_map", "validation mAP"),
    ("validation_recall", "mean validation recall"),
    ("validation_top1", "validation top-1"),
)
"""Figures that rank epochs, the preferred one first, as in training."""


class EpochLines:
    """Describes each epoch of a training with its validation figure and the best one so far, which may be of an earlier phase."""

    def __init__(self) -> None:
        self._step = ""
        self._best: tuple[float, int, str] | None = None

    def begin(self, step_id: str) -> None:
        """Begin another step of a build."""
        self._step, self._best = step_id, None

    def line(self, phase: str, epoch: int, figures: Mapping[str, float]) -> str:
        """Return ``train: finetune, epoch 3: validation top-1 91.2 % (best 91.9 % in epoch 2), training loss 0.432``."""
        words = []
        name, title = next(((name, title) for name, title in _VALIDATION_FIGURES if name in figures), (None, ""))
        if name is not None:
            latest = figures[name]
            if self._best is None or latest > self._best[0]:
                self._best = (latest, epoch, phase)
                best = "best so far"
            else:
                highest, best_epoch, best_phase = self._best
                where = f"epoch {best_epoch}" if best_phase == phase else f"{best_phase}, epoch {best_epoch}"
                best = f"best {100 * highest:.1f} % in {where}"
            words.append(f"{title} {100 * latest:.1f} % ({best})")
        if "train_loss" in figures:
            words.append(f"training loss {figures['train_loss']:#.3g}")
        if "validation_loss" in figures:
            words.append(f"validation loss {figures['validation_loss']:#.3g}")
        return f"{self._step}: {phase}, epoch {epoch}: {', '.join(words)}"


def part_line(name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> str:
    """Return ``step 5 of 12: evaluate openvino-int8 on test; about 6 min left``."""
    left = f"; {'about' if complete else 'at least'} {duration_text(seconds_left)} left" if seconds_left >= SHORT_STEP_S else ""
    return f"step {number} of {parts}: {name.replace(':', ' ')}{left}"


class Quiet:
    """Shows nothing."""

    def part(self, name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> None:
        """Ignore it."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def begin(self, step_id: str) -> None:
        """Ignore it."""

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Do nothing."""


class PlainLines(Quiet):
    """Prints lines for a log: two seconds after a step begins, then every five seconds, and at its end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began: dict[str, tuple[float, int]] = {}
        """Time and amount of work at the first report of each step. Resumed work does not count for the rate."""
        self._printed_at: dict[str, float] = {}
        self._epochs = EpochLines()

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Print the progress of a step, with rate and time left, if a line is due."""
        now = time.monotonic()
        began, before = self._began.setdefault(what, (now, done))
        finished = total is not None and done >= total
        pause = PLAIN_EVERY_S if what in self._printed_at else SHORT_STEP_S
        if not finished and now - self._printed_at.get(what, began) < pause:
            return
        seconds = now - began
        if finished:
            self._began.pop(what)
            self._printed_at.pop(what, None)
            if seconds < SHORT_STEP_S:
                return
        self._printed_at[what] = now
        of = f" of {total}" if total is not None else ""
        new = done - before
        rate = f", {_per_second(new / seconds)} {unit}/s" if seconds > 0 and unit else ""
        left = f", {(total - done) * seconds / new:.0f} s left" if total and new > 0 and done < total else ""
        counted = f"{done}{of} {unit}".rstrip()
        self._print(f"{what}: {counted}{rate}{left}")

    def note(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def part(self, name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> None:
        """Print which part of a build begins, and the time left."""
        self._print(part_line(name, number, parts, seconds_left, complete=complete))

    def begin(self, step_id: str) -> None:
        """Begin the epochs of another step."""
        self._epochs.begin(step_id)

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Print the validation figure of an epoch."""
        self._print(self._epochs.line(phase, epoch, figures))

    def _print(self, line: str) -> None:
        print(f"edgecnn: {visible(line)}", file=self._stream, flush=True)


def _per_second(rate: float) -> str:
    """``12``, ``0.3``: one digit below 1, so that a slow step does not seem to have stopped."""
    return f"{rate:.0f}" if rate >= 1 or rate == 0 else f"{rate:.1g}"


class _Rate(ProgressColumn):
    """The rate of a step, once it is known."""

    def render(self, task: Task) -> Text:
        """``12 images/s``."""
        unit = task.fields["unit"]
        return Text(f"{_per_second(task.speed)} {unit}/s" if task.speed and unit else "")


class LiveBars:
    """Shows a bar for each running step on a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, emoji=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f} of {task.total:.0f} {task.fields[unit]}"),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = RichProgress(*columns, console=self._console, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._epochs = EpochLines()
        self._progress.start()

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Move the bar of a step, and remove it at the end."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(visible(what), total=total or 1, unit=visible(unit))
        self._progress.update(self._tasks[what], completed=done, total=total or max(done, 1))
        if total is not None and done >= total:
            self._progress.remove_task(self._tasks.pop(what))

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(visible(text), markup=False, highlight=False, style="dim")

    def part(self, name: str, number: int, parts: int, seconds_left: float, *, complete: bool) -> None:
        """Print above the bars which part of a build begins, and the time left."""
        self.note(part_line(name, number, parts, seconds_left, complete=complete))

    def begin(self, step_id: str) -> None:
        """Begin the epochs of another step."""
        self._epochs.begin(step_id)

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Print the validation figure of an epoch above the bars."""
        self.note(self._epochs.line(phase, epoch, figures))

    def close(self) -> None:
        """Remove the bars."""
        self._progress.stop()


ProgressDisplay = Quiet | PlainLines | LiveBars


def progress_for(*, quiet: bool) -> ProgressDisplay:
    """Return the display for stderr of this process."""
    if quiet:
        return Quiet()
    return LiveBars() if sys.stderr.isatty() else PlainLines()


DISTRIBUTION = "tensorboard"


class Curves:
    """Curves of a training for TensorBoard: writes each epoch to an event file, and passes all progress on to a display.

    Each training step has a separate folder, in which new points replace earlier ones. The training does not know of the curves,
    so no key and no byte of a result depends on them.

    Args:
        folder: for the curves of this build. It is made if it does not exist.
        tell: the display that receives all progress.

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
        self._written: set[tuple[str, int]] = set()
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
        self._step, self._written = step_id.replace(":", "-"), set()

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch as ``phase/name``, each epoch once.

        If a file cannot be written, print a note and write no more curves. The training continues.
        """
        if (phase, epoch) in self._written:
            return
        self._written.add((phase, epoch))
        if isinstance(self._tell, Plotting):
            self._tell.plot(phase, epoch, figures)
        if self._given_up:
            return
        try:
            self._write(phase, epoch, figures)
        except OSError as error:
            self._given_up, self._writer = True, None
            self._tell.note(f"no further curves are drawn in {self._folder}: {system_reason(error)}")

    def close(self) -> None:
        """Write the remaining points."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _write(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # imported with the first figure, when torch is loaded anyway

            self._writer = SummaryWriter(str(self._folder / self._step), purge_step=0)
        for name, value in figures.items():
            self._writer.add_scalar(f"{phase}/{name}", value, epoch)
        self._writer.flush()

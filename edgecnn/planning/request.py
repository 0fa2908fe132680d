"""What a verb asks of a build, beyond the recipe: where results go and how fresh they must be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from edgecnn.errors.measuring import BATCHES_MISREAD, duration_misread, share_misread
from edgecnn.judging.gates import Circumstances, EffectiveGates, StoredRace
from edgecnn.judging.runs.stopping import OF_A_BUILD, OF_A_FINISHED_BUILD
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.command import Command
from edgecnn.values.device import Device
from edgecnn.values.model_file import BATCH_MAX
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.resolved import Resolved

Goal = Literal["train", "export", "quantize", "package", "compile", "profile", "judge"]
"""The last kind of step that is run; ``judge`` is the whole way."""


class ExtraRuns(Value):
    """Nothing of it is measured unless asked for: an ordinary build stays as fast as it is."""

    batches: tuple[int, ...] = ()
    """Images in a call, for images a second."""
    best_batch: bool = False
    """Whether the best one is looked for, and measured too."""
    end_to_end: bool = False
    soak_s: float | None = None

    @property
    def throughput(self) -> bool:
        """Whether anything is asked of batches."""
        return bool(self.batches) or self.best_batch


class BuildRequest(Value):
    """One call. Nothing here enters a key."""

    recipe: Recipe
    device: Device
    device_file: Path | None = None
    """Where a user's own device file lies, by which alone it is found again; None of a shipped device."""
    out: Path
    goal: Goal = "judge"
    refresh_weights: bool = False
    stored_race: StoredRace = "fresh-enough"
    only_judge: bool = False
    """True: what was never built is an error and not a training."""
    time_budget_s: float | None = None
    """Of climbing the ladder: no rung is begun after it; None: as long as it takes. Each call has its own."""
    gates: GateChoice | None = None
    """Bounds of the command line, which replace the recipe's for this call."""
    meter: Path | None = None
    """An external power meter's log, which is joined to the energy runs by the clock."""
    until: float | None = None
    """The last race goes on until every p50 is known to ± this share of it, or to its cap; None: a fixed number of rounds."""
    extra_runs: ExtraRuns = ExtraRuns()
    """What is measured beyond what every build measures."""
    host: HostRequest | None = None
    """The board on which kits run; None: this machine."""
    tensorboard: Path | None = None
    """Under which folder curves are drawn while something learns; None: none are."""
    command: Command = Command()
    """The command that asks this again."""


def effective_gates(
    resolved: Resolved, command_line: GateChoice | None, stored_race: StoredRace, *, finished: bool = False
) -> EffectiveGates:
    """Return the gates that follow from a build's recipe, the command line and ``CI``. Raises as ``check_bounds`` does.

    ``finished``: the build is only judged again, so that more rounds need another build.
    """
    call = Circumstances(
        device_usually_attached=resolved.device.usually_attached,
        labelled=resolved.data.labelled,
        multi_label=resolved.data.multi_label,
        stored_race=stored_race,
        in_ci=bool(os.environ.get("CI")),
        more_rounds=OF_A_FINISHED_BUILD if finished else OF_A_BUILD,
    )
    return EffectiveGates.of(resolved.recipe.gates, command_line, call)


LEAST, MOST = 0.001, 0.5
"""Of ``--until``: a clock and a machine give no less, and an interval wider than that needs no rule."""
SOAK_LEAST_S, SOAK_MOST_S = 30.0, 1800.0
"""Of ``--soak``: three windows, and every sample of half an hour is kept."""
BUDGET_LEAST_S, BUDGET_MOST_S = 1.0, 7 * 24 * 3600.0
"""Of ``--time-budget``: in less than a second, what is stored is not even found again."""
BEST = "best"


def share_of(text: str) -> float:
    """``2%`` as 0.02. Raises SHARE_MISREAD: no percentage, or none that a p50 could be known to."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    share = float(match.group(1)) / 100 if match else 0.0
    if not LEAST <= share <= MOST:
        raise share_misread(option="--until", text=text, least=LEAST, most=MOST)
    return share


def extra_runs_of(batches: str | None, *, end_to_end: bool, soak: str | None) -> ExtraRuns:
    """What the options ask for.

    ``batches``: numbers of images and ``best``, with commas between. ``soak``: a duration, such as ``60s`` or ``5min``.

    Raises BATCHES_MISREAD, DURATION_MISREAD: naming what was given.
    """
    words = [word.strip() for word in batches.split(",")] if batches is not None else []
    numbers = [word for word in words if word != BEST]
    if not all(re.fullmatch(r"[1-9]\d{0,5}", word) and int(word) <= BATCH_MAX for word in numbers):
        raise BATCHES_MISREAD(text=batches or "", largest=BATCH_MAX)
    return ExtraRuns(
        batches=tuple(sorted({int(word) for word in numbers})),
        best_batch=BEST in words,
        end_to_end=end_to_end,
        soak_s=None if soak is None else _seconds("--soak", soak, SOAK_LEAST_S, SOAK_MOST_S),
    )


def time_budget_of(text: str) -> float:
    """``10min`` in seconds; ``s``, ``min`` or ``h``. Raises DURATION_MISREAD: naming what was given."""
    return _seconds("--time-budget", text, BUDGET_LEAST_S, BUDGET_MOST_S)


def _seconds(option: str, text: str, least_s: float, most_s: float) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    seconds = float(match.group(1)) * {"s": 1, "min": 60, "h": 3600}[match.group(2)] if match else 0.0
    if not least_s <= seconds <= most_s:
        raise duration_misread(option=option, text=text, least_s=least_s, most_s=most_s)
    return seconds

"""A request: the recipe, the device, and options such as the output folder and the freshness of results."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from edgecnn.errors.measuring import BATCHES_MISREAD, duration_misread, share_misread
from edgecnn.installed import is_off
from edgecnn.judging.gates import Circumstances, EffectiveGates, StatedBounds, StoredRace, bounds_kept_in, no_longer_stated
from edgecnn.judging.stopping import OF_A_BUILD, OF_A_FINISHED_BUILD
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.command import Command
from edgecnn.values.device import Device
from edgecnn.values.model_file import BATCH_MAX
from edgecnn.values.profile import ExtraRuns
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.report import BuildReport
from edgecnn.values.resolved import Resolved

Goal = Literal["train", "export", "quantize", "package", "compile", "profile", "judge"]
"""The last step to run; ``judge`` runs everything."""


class BuildRequest(Value):
    """One call. Nothing here enters a key."""

    recipe: Recipe
    device: Device
    device_file: Path | None = None
    """The path of a user's own device file; None for a shipped device."""
    out: Path
    goal: Goal = "judge"
    refresh_weights: bool = False
    stored_race: StoredRace = "fresh-enough"
    only_judge: bool = False
    """Fail instead of training what was never built."""
    time_budget_s: float | None = None
    """Time limit for the ladder: no rung begins after it. Each call has its own limit; None: no limit."""
    gates: GateChoice | None = None
    """Bounds of the command line. Each replaces the recipe's bound of the same metric."""
    meter: Path | None = None
    """The log of an external power meter; its clock joins it to the energy runs."""
    until: float | None = None
    """Run the last race until every p50 is known to ± this share, or to its limit; None: a fixed number of rounds."""
    extra_runs: ExtraRuns = ExtraRuns()
    """Measurements beyond those of every build."""
    host: HostRequest | None = None
    """The board that runs the kits; None: this machine."""
    tensorboard: Path | None = None
    """The folder for training curves; None: no curves."""
    command: Command = Command()
    """The command that repeats this request."""


def effective_gates(
    resolved: Resolved,
    command_line: GateChoice | None,
    stored_race: StoredRace,
    earlier: BuildReport | None,
    *,
    finished: bool = False,
) -> EffectiveGates:
    """Return the gates that follow from a build's recipe, its report, the command line and ``CI``.

    ``earlier``: the report in the build's folder. ``finished``: the build is only judged again. The bounds that command lines
    added to it then still apply, and more rounds need another build. A new build states all of its bounds itself, and ``dropped``
    lists the bounds of the earlier report that it does not state. Raises as ``check_bounds`` does.
    """
    kept, stated = GateChoice() if earlier is None else bounds_kept_in(earlier), command_line or GateChoice()
    call = Circumstances(
        device_usually_attached=resolved.device.usually_attached,
        labelled=resolved.data.labelled,
        multi_label=resolved.data.multi_label,
        stored_race=stored_race,
        in_ci=not is_off(os.environ.get("CI", "")),
        more_rounds=OF_A_FINISHED_BUILD if finished else OF_A_BUILD,
    )
    if finished:
        return EffectiveGates.of(StatedBounds(resolved.recipe.gates, kept, stated), call)
    gates = EffectiveGates.of(StatedBounds(resolved.recipe.gates, command_line=stated), call)
    return gates.model_copy(update={"dropped": no_longer_stated(kept, gates.gates, require_measured=gates.require_measured)})


LEAST, MOST = 0.001, 0.5
"""Limits of ``--until``: clocks are no finer, and a wider interval needs no rule."""
SOAK_LEAST_S, SOAK_MOST_S = 30.0, 1800.0
"""Limits of ``--soak``: at least three windows; all samples of half an hour are kept."""
BUDGET_LEAST_S, BUDGET_MOST_S = 1.0, 7 * 24 * 3600.0
"""Limits of ``--time-budget``: even reading the store takes a second."""
BEST = "best"


def parse_share(text: str) -> float:
    """Read a percentage such as ``2%`` as a share. Raises SHARE_MISREAD."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    share = float(match.group(1)) / 100 if match else 0.0
    if not LEAST <= share <= MOST:
        raise share_misread(option="--until", text=text, least=LEAST, most=MOST)
    return share


def parse_extra_runs(batches: str | None, *, end_to_end: bool, soak: str | None) -> ExtraRuns:
    """Read the options for additional runs.

    ``batches``: numbers of images and ``best``, separated by commas. ``soak``: a duration, such as ``60s`` or ``5min``.

    Raises BATCHES_MISREAD, DURATION_MISREAD.
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


def parse_time_budget(text: str) -> float:
    """Read a duration such as ``10min`` as seconds; units are ``s``, ``min`` and ``h``. Raises DURATION_MISREAD."""
    return _seconds("--time-budget", text, BUDGET_LEAST_S, BUDGET_MOST_S)


def _seconds(option: str, text: str, least_s: float, most_s: float) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    seconds = float(match.group(1)) * {"s": 1, "min": 60, "h": 3600}[match.group(2)] if match else 0.0
    if not least_s <= seconds <= most_s:
        raise duration_misread(option=option, text=text, least_s=least_s, most_s=most_s)
    return seconds

"""What a verb asks of a build, beyond the recipe: where results go and how fresh they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgecnn.planning.extra_runs import ExtraRuns
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.device import Device
from edgecnn.values.recipe import GateChoice, Recipe

Goal = Literal["train", "export", "quantize", "package", "compile", "profile", "judge"]
"""The last kind of step that is run; ``judge`` is the whole way."""


class BuildRequest(Value):
    """One call. Nothing here enters a key."""

    recipe: Recipe
    device: Device
    device_file: Path | None = None
    """Where a user's own device file lies, by which alone it is found again; None of a shipped device."""
    out: Path
    goal: Goal = "judge"
    refresh_weights: bool = False
    stored_race: Literal["fresh-enough", "never"] = "fresh-enough"
    """fresh-enough: a race younger than ``max_age_h`` serves. never: race anew."""
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
    extent: ExtraRuns = ExtraRuns()
    """What is measured beyond what every build measures."""
    host: HostRequest | None = None
    """The board on which kits run; None: this machine."""
    tensorboard: Path | None = None
    """Under which folder curves are drawn while something learns; None: none are."""
    command: str = ""
    """The command that asks this again."""

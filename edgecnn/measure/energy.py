"""Energy is measured in a race of its own: processes that time nothing, interleaved as any other race's.

It is scheduled only where some meter said that it can be read; where none can, the reasons are what there is to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.measure.kits import KitRef
from edgecnn.measure.race_request import ENERGY_WINDOW_S, EXTERNAL_WINDOW_S, RaceRequest
from edgecnn.runner.meters.found import can_watch
from edgecnn.values.profile import Environment, Purpose


def metered(kit: KitRef, environment: Environment, log: Path | None = None) -> bool:
    """Whether some meter can be read beside this kit, by what the host said of itself."""
    meters = environment.observed.get("energy_meters", "").split()
    return log is not None or can_watch(meters, kit.on_gpu)


def no_meter(environment: Environment) -> str:
    """Why no meter can watch a model on the CPU there, and what would make one readable."""
    said = environment.observed.get("energy_absent")
    only_gpu = "the GPU's meter says nothing of a model on the CPU" if "energy_meters" in environment.observed else None
    return said or only_gpu or "the host says of none that it can"


def why_not(environment: Environment) -> str:
    """The same of this machine, where an external meter's log may be given."""
    return f"no meter can be read here: {no_meter(environment)}; --meter takes an external one's log"


def energy_request(
    kits: Sequence[KitRef], *, rounds: int, max_age_h: float, log: Path | None = None, purpose: Purpose = "energy"
) -> RaceRequest:
    """The race that measures these kits' energy: for the reported figures, or for the choice (``select-energy``)."""
    window_s = ENERGY_WINDOW_S if log is None else EXTERNAL_WINDOW_S
    return RaceRequest(
        kits=tuple(kits), purpose=purpose, rounds=rounds, samples=1, max_s=window_s, max_age_h=max_age_h, meter_log=log
    )

"""How long a process must be timed so that its median is known, found out before the race and never by its runs.

A run that ends early ends early because it was slow. To leave such runs out, or to race again because of them, would keep the
fast ones; so the time is fixed beforehand, from one run of each kit that takes part in nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.judging.intervals import samples_needed
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RUN_MAX_S, RUN_PATIENT_S, RaceRequest

MARGIN = 2.0
"""So many times slower than in the trial run may a kit be, and still get its median."""


def long_enough_s(kits: Sequence[KitRef], lab: Lab) -> float:
    """``max_s`` of a race of these kits, between ``RUN_MAX_S`` and ``RUN_PATIENT_S``; a kit that cannot run asks for nothing."""
    wanted = samples_needed(50)
    lab.tell.note(f"time {wanted} inferences of each kit, to know how long a run must be")
    trial = RaceRequest(kits=tuple(kits), purpose="trial", rounds=1, samples=wanted, max_s=RUN_PATIENT_S, max_age_h=0.0)
    times = [run.samples_ns for profile in race(trial, lab).profiles.values() for run in profile.runs if run.samples_ns]
    slowest_s = max((sum(each) / len(each) / 1e9 for each in times), default=0.0)
    return min(max(RUN_MAX_S, MARGIN * wanted * slowest_s), RUN_PATIENT_S)

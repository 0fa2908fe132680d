"""Which searched networks are inside the latency budget: by a clock where the device is, else by prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from edgecnn.building.untrained_kits import KitMaker
from edgecnn.fit.search import guessed_ms, predicted_ms
from edgecnn.fit.state import Fitting
from edgecnn.fit.timing import SLOW, Timed, Yardstick, times_of, untrained_kits
from edgecnn.values.fit import Member
from edgecnn.values.verdict import Fidelity

ROOM = 0.97
"""Of the budget: a p50 is shown to be inside by its upper bound, which lies above the estimate."""


def by_clock(fitting: Fitting) -> bool:
    """Whether the device is there to be timed, and a latency is bounded."""
    return fitting.attached and math.isfinite(fitting.budget_ms)


def bound_ms(fitting: Fitting) -> float:
    """What a p50 has to be below."""
    return ROOM * fitting.budget_ms


def is_inside(fitting: Fitting, member: Member) -> bool:
    """By its time, where there is a clock; else by prediction."""
    if by_clock(fitting):
        return member.name in fitting.times and fitting.times[member.name].estimate <= bound_ms(fitting)
    cost_ms = guessed_ms(member) if fitting.attached else predicted_ms(member)
    return math.isfinite(cost_ms) and cost_ms <= bound_ms(fitting)


def perhaps_inside(fitting: Fitting, members: Iterable[Member]) -> list[Member]:
    """Those that are inside, or were not timed and are guessed to be, by as much as predictions were off."""
    if not by_clock(fitting):
        return [each for each in members if is_inside(fitting, each)]
    off, tried = times_predicted(fitting), fitting.times.keys() | fitting.untimed.keys()
    return [
        each
        for each in members
        if (guessed_ms(each) * off <= bound_ms(fitting) if each.name not in tried else is_inside(fitting, each))
    ]


def times_predicted(fitting: Fitting) -> float:
    """Measured over predicted p50, the median of what was timed; 1 where nothing was."""
    known = {each.name: guessed_ms(each) for each in fitting.searched}
    return median([ms.estimate / known[name] for name, ms in fitting.times.items() if name in known] or [1.0])


def time_untrained(fitting: Fitting, members: Sequence[Member]) -> None:
    """Time their networks with weights that learned nothing, in turn; the search keeps the times, and why there is none."""
    found = _timed(fitting, members)
    fitting.times |= found.times
    fitting.untimed |= found.failed
    fitting.pace = found.pace
    if found.pace is not None and found.pace > SLOW:
        now = f"this machine takes {found.pace:.1f} times as long as when its latency table was measured"
        fitting.place.tell.note(f"{now}; budgets are held against what it takes now")


def _timed(fitting: Fitting, members: Sequence[Member]) -> Timed:
    place, classes = fitting.place, len(fitting.resolved.data.classes)
    maker = KitMaker(place.store, place.tell, fitting.prices.environment)
    kits, failed = untrained_kits(members, fitting.builder.spec, fitting.prices.candidates, classes, maker)
    yardstick = _yardstick(fitting, maker)
    with place.lab() as lab:
        found = times_of(kits, lab, yardstick)
    return found._replace(failed={**failed, **found.failed})


def _yardstick(fitting: Fitting, maker: KitMaker) -> Yardstick | None:
    """The fastest of the table's networks; None of an emulated machine, whose pace is that of what emulates it."""
    prices = fitting.prices
    if prices.used.fidelity is not Fidelity.MEASURED:
        return None
    candidate, timed = min(prices.fastest.items(), key=lambda row: row[1].least_ms)
    made = maker.kits(timed.probe, [prices.candidates[candidate]]).made
    return Yardstick(made[candidate], timed.least_ms) if candidate in made else None

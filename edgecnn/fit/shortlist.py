"""Which of the searched networks are worth a training: those inside the budget by a clock, else by prediction."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from edgecnn.errors.fit import NothingPredictedInside, NothingTimed, UnlikeTable
from edgecnn.errors.wording import bounds_text
from edgecnn.fit.probes import KitMaker
from edgecnn.fit.search import guessed_ms, predicted_front, predicted_ms, spread_out
from edgecnn.fit.state import Fitting
from edgecnn.fit.timing import Timed, times_of, untrained_kits
from edgecnn.values.fit import Member
from edgecnn.values.verdict import Interval

ROOM = 0.97
"""Of the budget: a p50 is shown to be inside by its upper bound, which lies above the estimate."""
TIMED = 8
"""Members that are timed before any is trained."""
UNLIKE_SHOWN = 3
"""Features by which a failure says that networks are unlike the table's."""
SMALLER = 0.95
"""Times what predictions were thought to be off before: below that, networks were left out that a clock would find inside."""
TRIES = 3
"""How often other members are timed where too few of the last ones were inside."""


def shortlist(fitting: Fitting) -> tuple[Member, ...]:
    """The most promising members inside the budget, unlike each other: twice as many as are trained whole.

    Raises NothingPredictedInside: none is inside. UnlikeTable: nothing is known of any. NothingTimed: what was to be timed could
    not be made or run.
    """
    wanted, cost_ms = max(2, 2 * fitting.trainings_of_members), guessed_ms if fitting.attached else predicted_ms
    if fitting.attached and math.isfinite(fitting.budget_ms):
        inside = _timed_inside(fitting, wanted)
    else:
        inside = [each for each in fitting.searched if math.isfinite(cost_ms(each)) and cost_ms(each) <= _bound_ms(fitting)]
    if not inside:
        raise _outside(fitting, {each.name: cost_ms(each) for each in fitting.searched}, timed=False)
    return spread_out(inside, wanted, fitting.first.resolution_px)


def along_front(fitting: Fitting) -> tuple[Member, ...]:
    """As many of the predicted front as halving it so often decides, as evenly as it has them, the fastest first.

    Raises NothingPredictedInside: none is inside. UnlikeTable: nothing is known of any.
    """
    front = predicted_front(each for each in fitting.searched if predicted_ms(each) <= _bound_ms(fitting))
    if not front:
        raise _outside(fitting, {each.name: predicted_ms(each) for each in fitting.searched}, timed=False)
    return _evenly(front, 2 ** max(1, fitting.trainings_of_members) - 1)


def _evenly(front: Sequence[Member], count: int) -> tuple[Member, ...]:
    """So many of them with both ends; one alone is the middle."""
    if count == 1:
        return (front[len(front) // 2],)
    count, last = min(count, len(front)), len(front) - 1
    return tuple(front[round(index * last / max(1, count - 1))] for index in range(count))


def _bound_ms(fitting: Fitting) -> float:
    return ROOM * fitting.budget_ms


def _outside(fitting: Fitting, costs_ms: Mapping[str, float], *, timed: bool) -> NothingPredictedInside | UnlikeTable:
    """Why no network is worth a training."""
    asked, known = fitting.asked, [name for name, ms in costs_ms.items() if math.isfinite(ms)]
    unlike = Counter(name for each in fitting.searched for said in each.predicted[:1] for name in said.extrapolated)
    if not known and unlike:
        features = [name for name, _ in unlike.most_common(UNLIKE_SHOWN)]
        return UnlikeTable(family=asked.family, table=fitting.prices.used.file, features=features, device=asked.device.name)
    least = min(known, key=costs_ms.__getitem__, default=None)
    nearest = None if least is None else f"{least}, at {costs_ms[least]:.3g} ms"
    return NothingPredictedInside(family=asked.family, budgets=bounds_text(asked.within), nearest=nearest, timed=timed)


def _timed_inside(fitting: Fitting, wanted: int) -> list[Member]:
    """Time the best by the stand-in that are predicted inside, else the fastest; then others, by as much larger or smaller as the
    predictions were off, until there are enough and predictions left no better ones out.

    What is unlike the table's networks is timed too, where its guess is inside: then the clock speaks and no prediction.
    An empty list where nothing was searched that may ship. Raises NothingPredictedInside, NothingTimed.
    """
    off, times, failed, side_px = 1.0, dict[str, Interval](), dict[str, str](), fitting.first.resolution_px
    known, inside = [each for each in fitting.searched if each.predicted], list[Member]()
    for _ in range(TRIES):
        waiting = [each for each in known if each.name not in times and each.name not in failed]
        trying = spread_out([each for each in waiting if guessed_ms(each) * off <= _bound_ms(fitting)], TIMED, side_px)
        if not trying and not times:  # a prediction alone rules nothing out
            trying = tuple(sorted((each for each in waiting if math.isfinite(guessed_ms(each))), key=guessed_ms)[:TIMED])
        if not trying:
            break
        found = _timed(fitting, trying)
        times |= found.times
        failed |= found.failed
        inside = [each for each in known if each.name in times and times[each.name].estimate <= _bound_ms(fitting)]
        before, ratios = off, [times[each.name].estimate / guessed_ms(each) for each in known if each.name in times]
        off = median(ratios) if ratios else off
        if len(inside) >= wanted and off >= SMALLER * before:
            break
    if failed and not times:
        raise NothingTimed(device=fitting.asked.device.name, reasons=failed, hint="its latency table was measured before")
    if times and not inside:
        raise _outside(fitting, {name: ms.estimate for name, ms in times.items()}, timed=True)
    return [each.model_copy(update={"untrained_ms": times[each.name]}) for each in inside]


def _timed(fitting: Fitting, members: Sequence[Member]) -> Timed:
    place, classes = fitting.place, len(fitting.resolved.data.classes)
    maker = KitMaker(place.store, place.tell, fitting.prices.environment)
    kits, failed = untrained_kits(members, fitting.builder.spec, fitting.prices.candidates, classes, maker)
    with place.lab() as lab:
        found = times_of(kits, lab)
    return Timed(found.times, {**failed, **found.failed})

"""Which of the searched networks are worth a training: those inside the budget by a clock, else by prediction."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from edgecnn.errors.fit import NothingPredictedInside, NothingTimed, UnlikeTable
from edgecnn.errors.wording import bounds_text
from edgecnn.fit.probes import KitMaker
from edgecnn.fit.search import guessed_ms, predicted_front, predicted_ms, spread_out, unlike
from edgecnn.fit.state import Fitting
from edgecnn.fit.surrogate import promises
from edgecnn.fit.timing import Timed, times_of, untrained_kits
from edgecnn.values.fit import Member

ROOM = 0.97
"""Of the budget: a p50 is shown to be inside by its upper bound, which lies above the estimate."""
TIMED, TIMED_NEXT = 8, 4
"""Members that are timed before any is trained, and at a time when trainings say which are likely."""
UNLIKE_SHOWN = 3
"""Features by which a failure says that networks are unlike the table's."""
SMALLER = 0.95
"""Times what predictions were thought to be off before: below that, networks were left out that a clock would find inside."""
TRIES = 3
"""How often other members are timed where too few of the last ones were inside."""
LOOKED_AT_FIRST = 2
"""Members, beside those that will be trained whole, that have a short training before trainings say which are likely."""


def shortlist(fitting: Fitting) -> tuple[Member, ...]:
    """The most promising members inside the budget, unlike each other: what is trained a little first.

    Raises NothingPredictedInside: none is inside. UnlikeTable: nothing is known of any. NothingTimed: what was to be timed could
    not be made or run.
    """
    wanted, cost_ms = max(1, fitting.trainings_of_members) + LOOKED_AT_FIRST, guessed_ms if fitting.attached else predicted_ms
    if _by_clock(fitting):
        _time_first(fitting, wanted)
    inside = [each for each in fitting.searched if _inside(fitting, each)]
    if not inside:
        raise _outside(fitting, {each.name: cost_ms(each) for each in fitting.searched}, timed=False)
    return spread_out(map(fitting.as_timed, inside), wanted, fitting.first.resolution_px)


def next_likely(fitting: Fitting, learned: Sequence[Member]) -> Member | None:
    """What short trainings make likely to be the most accurate inside, of the kind that has had fewer; None: no other is left.

    Scaled members, and those that begin with the first's weights, each say nothing of the other kind.
    """
    kinds = [[each for each in learned if fitting.builder.begins_as_first(each) is begun] for begun in (False, True)]
    for alike in sorted(filter(None, kinds), key=len):
        begun = fitting.builder.begins_as_first(alike[0])
        waiting = [
            each
            for each in fitting.searched
            if fitting.builder.begins_as_first(each) is begun
            and each.name not in fitting.members
            and all(unlike(each, other) for other in alike)
        ]
        if (found := _likeliest(fitting, alike, waiting)) is not None:
            return found
    return None


def _likeliest(fitting: Fitting, learned: Sequence[Member], waiting: Sequence[Member]) -> Member | None:
    """The first by its promise that is inside, timed with those next to it where there is a clock."""
    waiting = [each for each in waiting if _may_be_inside(fitting, each)]
    if not waiting:
        return None
    order = [each for _, each in sorted(zip(promises(learned, waiting), waiting, strict=True), key=lambda row: -row[0])]
    for _ in range(TRIES):
        order = [each for each in order if _may_be_inside(fitting, each)]
        if not order:
            return None
        if _inside(fitting, order[0]):
            return fitting.as_timed(order[0])
        _time(fitting, _untimed_apart(fitting, order))
    return next((fitting.as_timed(each) for each in order if _inside(fitting, each)), None)


def _untimed_apart(fitting: Fitting, order: Sequence[Member]) -> list[Member]:
    found = list[Member]()
    for each in order:
        if len(found) < TIMED_NEXT and each.name not in fitting.times and all(unlike(each, other) for other in found):
            found.append(each)
    return found


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


def _by_clock(fitting: Fitting) -> bool:
    """Whether the device is there to be timed, and a latency is bounded."""
    return fitting.attached and math.isfinite(fitting.budget_ms)


def _inside(fitting: Fitting, member: Member) -> bool:
    """By what is known; nothing is of a network that was not timed, where it can be."""
    if _by_clock(fitting):
        return member.name in fitting.times and fitting.times[member.name].estimate <= _bound_ms(fitting)
    cost_ms = guessed_ms(member) if fitting.attached else predicted_ms(member)
    return math.isfinite(cost_ms) and cost_ms <= _bound_ms(fitting)


def _may_be_inside(fitting: Fitting, member: Member) -> bool:
    """Whether it is, or is guessed to be by what predictions were off."""
    if not _by_clock(fitting) or member.name in fitting.times:
        return _inside(fitting, member)
    return member.name not in fitting.untimed and guessed_ms(member) * _off(fitting) <= _bound_ms(fitting)


def _off(fitting: Fitting) -> float:
    """Times what was predicted, in the median of all that was timed."""
    known = {each.name: guessed_ms(each) for each in fitting.searched}
    return median([ms.estimate / known[name] for name, ms in fitting.times.items() if name in known] or [1.0])


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


def _time_first(fitting: Fitting, wanted: int) -> None:
    """Time the best by the stand-in that are predicted inside, else the fastest; then others, by as much larger or smaller as the
    predictions were off, until there are enough and predictions left no better ones out.

    What is unlike the table's networks is timed too, where its guess is inside: then the clock speaks and no prediction.
    Nothing is timed where nothing was searched that may ship. Raises NothingPredictedInside, NothingTimed.
    """
    side_px, known = fitting.first.resolution_px, [each for each in fitting.searched if each.predicted]
    for _ in range(TRIES):
        waiting = [each for each in known if each.name not in fitting.times and each.name not in fitting.untimed]
        before = _off(fitting)
        trying = spread_out([each for each in waiting if _may_be_inside(fitting, each)], TIMED, side_px)
        if not trying and not fitting.times:  # a prediction alone rules nothing out
            trying = tuple(sorted((each for each in waiting if math.isfinite(guessed_ms(each))), key=guessed_ms)[:TIMED])
        if not trying:
            break
        _time(fitting, trying)
        if sum(_inside(fitting, each) for each in known) >= wanted and _off(fitting) >= SMALLER * before:
            break
    if fitting.untimed and not fitting.times:
        raise NothingTimed(
            device=fitting.asked.device.name, reasons=fitting.untimed, hint="its latency table was measured before"
        )
    if fitting.times and not any(_inside(fitting, each) for each in known):
        raise _outside(fitting, {name: ms.estimate for name, ms in fitting.times.items()}, timed=True)


def _time(fitting: Fitting, members: Sequence[Member]) -> None:
    found = _timed(fitting, members)
    fitting.times |= found.times
    fitting.untimed |= found.failed


def _timed(fitting: Fitting, members: Sequence[Member]) -> Timed:
    place, classes = fitting.place, len(fitting.resolved.data.classes)
    maker = KitMaker(place.store, place.tell, fitting.prices.environment)
    kits, failed = untrained_kits(members, fitting.builder.spec, fitting.prices.candidates, classes, maker)
    with place.lab() as lab:
        found = times_of(kits, lab)
    return Timed(found.times, {**failed, **found.failed})

"""Choose the networks to train: those inside the budget, timed if the device is attached, else predicted.

A Gaussian process over depth, width, resolution and form predicts the accuracy of untrained members from short trainings. The
stand-in for accuracy only chooses the first ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median, stdev

from edgecnn.building.untrained_kits import KitMaker
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NO_MEMBER_TIMED, UNLIKE_TABLE, nothing_predicted_inside
from edgecnn.errors.wording import short_number
from edgecnn.fit.search import are_unlike, guessed_ms, predicted_front, predicted_ms, spread_out
from edgecnn.fit.state import Fitting
from edgecnn.fit.timing import SLOW, Timed, Yardstick, time_kits, untrained_kits
from edgecnn.judging.metrics import budgets_text, reciprocal_of_p50
from edgecnn.values.fit import Member
from edgecnn.values.forecast import MARK
from edgecnn.values.verdict import IMAGES_PER_S, Fidelity

ROOM = 0.97
"""Share of the budget for an estimate of p50, because the upper bound of its interval must be inside."""


def is_timeable(fitting: Fitting) -> bool:
    """Whether the device is attached and the latency is bounded."""
    return fitting.attached and math.isfinite(fitting.budget_ms)


def bound_ms(fitting: Fitting) -> float:
    """Return the most that an estimate of p50 may be."""
    return ROOM * fitting.budget_ms


def is_inside(fitting: Fitting, member: Member) -> bool:
    """Whether a member is inside the latency budget, by its time if the device is attached, else by prediction."""
    if is_timeable(fitting):
        return member.name in fitting.times and fitting.times[member.name].estimate <= bound_ms(fitting)
    cost_ms = guessed_ms(member) if fitting.attached else predicted_ms(member)
    return math.isfinite(cost_ms) and cost_ms <= bound_ms(fitting)


def possibly_inside(fitting: Fitting, members: Iterable[Member]) -> list[Member]:
    """Return the members that are inside, or that may be inside by their corrected predictions if they were not timed."""
    if not is_timeable(fitting):
        return [member for member in members if is_inside(fitting, member)]
    off, tried = measured_over_predicted(fitting), fitting.times.keys() | fitting.untimed.keys()
    return [
        member
        for member in members
        if (guessed_ms(member) * off <= bound_ms(fitting) if member.name not in tried else is_inside(fitting, member))
    ]


def measured_over_predicted(fitting: Fitting) -> float:
    """Return the median ratio of measured to predicted p50; 1 if nothing was timed."""
    predicted = {member.name: guessed_ms(member) for member in fitting.searched}
    return median([ms.estimate / predicted[name] for name, ms in fitting.times.items() if name in predicted] or [1.0])


def time_untrained(fitting: Fitting, members: Sequence[Member]) -> None:
    """Time members' untrained networks, and keep the times and failures in the search."""
    timed = _time_members(fitting, members)
    fitting.times |= timed.times
    fitting.untimed |= timed.failed
    fitting.pace = timed.pace
    if timed.pace is not None and timed.pace > SLOW:
        pace = f"this machine takes {timed.pace:.1f} times as long as when its latency table was measured"
        fitting.place.tell.note(f"{pace}; budgets are compared with its current latency")


def _time_members(fitting: Fitting, members: Sequence[Member]) -> Timed:
    place, classes = fitting.place, len(fitting.resolved.data.classes)
    maker = KitMaker(place.store, place.tell, fitting.prices.environment)
    kits, failed = untrained_kits(members, fitting.builder.spec, fitting.prices.candidates, classes, maker)
    yardstick = _yardstick(fitting, maker)
    with place.lab() as lab:
        timed = time_kits(kits, lab, yardstick)
    return timed._replace(failed={**failed, **timed.failed})


def _yardstick(fitting: Fitting, maker: KitMaker) -> Yardstick | None:
    """Return the fastest network of the table; None for an emulated machine, whose pace is that of its host."""
    prices = fitting.prices
    if prices.used.fidelity is not Fidelity.MEASURED:
        return None
    candidate, timed = min(prices.fastest.items(), key=lambda row: row[1].least_ms)
    made = maker.kits(timed.probe, [prices.candidates[candidate]]).made
    return Yardstick(made[candidate], timed.least_ms) if candidate in made else None


LENGTH = math.log(2)
"""Length scale of the process for logarithms of multipliers."""
SPREAD, LEAST_SPREAD, NOISE = 0.05, 0.02, 0.01
"""Standard deviations of top-1: of unrelated networks if fewer than two are known, its lower limit, and of another seed.
MobileNets of three epochs spread by 0.05, neighbours by 0.01 (benchmarks/fit/results/regret-xeon.json)."""
BOLD = 1.0
"""Standard deviations from the mean to the upper bound."""
CHANGED = {"relu6": (1.0, 0.0), "hard-swish": (0.0, 1.0)}
"""Each other activation is a separate direction, as far as half of a multiplier."""


def promised_top1(learned: Sequence[Member], waiting: Sequence[Member]) -> list[float]:
    """Return upper bounds of the top-1 on ``validation``, 0…1, after a short training of each waiting member.

    ``learned``: members of one kind, each with a training. Raises ValueError: there are none.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    top1 = [member.trained[0].validation_top1 for member in learned]
    middle, spread = fmean(top1), max(LEAST_SPREAD, stdev(top1)) if len(top1) > 1 else SPREAD
    kernel = ConstantKernel(spread**2, "fixed") * Matern(LENGTH, "fixed", nu=2.5) + WhiteKernel(NOISE**2, "fixed")
    process = GaussianProcessRegressor(kernel, optimizer=None)
    process.fit([_coordinates(member) for member in learned], [member - middle for member in top1])
    mean, deviation = process.predict([_coordinates(member) for member in waiting], return_std=True)
    return [middle + gain + BOLD * sd for gain, sd in zip(mean.tolist(), deviation.tolist(), strict=True)]


def _coordinates(member: Member) -> list[float]:
    form = member.form
    changed = (*CHANGED.get(form.activation, (0.0, 0.0)), float(form.squeeze_excite != "keep"))
    return [*map(math.log, member.multipliers), *(LENGTH * direction for direction in changed)]


TIMED, TIMED_NEXT = 8, 4
"""Members to time before any training, and at a time afterwards."""
UNLIKE_SHOWN = 3
"""Features that an error names if networks are unlike those of the table."""
SMALLER = 0.95
"""Ratio of two corrections of the predictions, below which more members may be inside and timing continues."""
TRIES = 3
"""Number of times that further members are timed if too few were inside."""
MORE = 2
"""Short trainings in addition to one for each complete training."""


def short_trainings(members: int) -> tuple[int, int]:
    """Return the number of short trainings from the shortlist, and in total. ``members``: complete trainings."""
    whole = max(1, members)
    return whole + MORE, 2 * whole + MORE


def shortlist(fitting: Fitting) -> tuple[Member, ...]:
    """Return the most promising members inside the budget for the first short trainings; no two are alike.

    Raises NOTHING_PREDICTED_INSIDE: no member is inside. UNLIKE_TABLE: no member can be predicted. NothingTimed: no network could
    be made and timed.
    """
    wanted, cost_ms = short_trainings(fitting.trainings_of_members)[0], guessed_ms if fitting.attached else predicted_ms
    if is_timeable(fitting):
        _time_most_promising(fitting, wanted)
    inside = [member for member in fitting.searched if is_inside(fitting, member)]
    if not inside:
        raise _nothing_inside(fitting, {member.name: cost_ms(member) for member in fitting.searched}, timed=False)
    return spread_out(map(fitting.add_untrained_ms, inside), wanted, fitting.first.resolution_px)


def next_promising(fitting: Fitting, looked_at: Sequence[Member], turn: int) -> Member | None:
    """Return the most promising member by the short trainings so far; None if none is left that may be inside.

    If the device is attached, the member is timed. Scaled members and members that start from the first network's weights are
    ranked separately, and take turns.

    ``looked_at``: all members with a short training, including failures. ``turn``: number of earlier calls.
    """
    by_kind = split_by_origin(looked_at, fitting.builder.starts_from_first)
    kinds = sorted((kind for kind in by_kind if kind), key=len, reverse=True)
    for place in range(len(kinds)):
        alike = kinds[(turn + place) % len(kinds)]
        begun = fitting.builder.starts_from_first(alike[0])
        waiting = [
            member
            for member in fitting.searched
            if fitting.builder.starts_from_first(member) is begun
            and member.name not in fitting.members
            and all(are_unlike(member, other) for other in alike)
        ]
        if (likely := _most_promising(fitting, alike, waiting)) is not None:
            return likely
    return None


def split_by_origin(members: Iterable[Member], begun: Callable[[Member], bool]) -> tuple[list[Member], list[Member]]:
    """Split members into scaled ones and those that start from the first network's weights, keeping the order."""
    parts: tuple[list[Member], list[Member]] = ([], [])
    for member in members:
        parts[begun(member)].append(member)
    return parts


def _most_promising(fitting: Fitting, looked_at: Sequence[Member], waiting: Sequence[Member]) -> Member | None:
    """Return the most promising member inside the budget. If the device is attached, time up to ``TRIES`` batches."""
    order = _most_promising_first([member for member in looked_at if member.trained], possibly_inside(fitting, waiting))
    for _ in range(TRIES):
        order = possibly_inside(fitting, order)
        if not order or fitting.out_of_time:
            return None
        if is_inside(fitting, order[0]):
            return fitting.add_untrained_ms(order[0])
        time_untrained(fitting, _untimed_apart(fitting, order))
    return next((fitting.add_untrained_ms(member) for member in order if is_inside(fitting, member)), None)


def _most_promising_first(learned: Sequence[Member], waiting: Sequence[Member]) -> list[Member]:
    """Sort members by promise, or by the stand-in without any training."""
    if not learned or not waiting:
        return sorted(waiting, key=lambda member: -member.standin)
    ranked = sorted(zip(promised_top1(learned, waiting), waiting, strict=True), key=lambda row: -row[0])
    return [member for _, member in ranked]


def _untimed_apart(fitting: Fitting, order: Sequence[Member]) -> list[Member]:
    chosen = list[Member]()
    for member in order:
        if len(chosen) < TIMED_NEXT and member.name not in fitting.times and all(are_unlike(member, other) for other in chosen):
            chosen.append(member)
    return chosen


def members_along_front(fitting: Fitting) -> tuple[Member, ...]:
    """Return evenly spaced members of the predicted front, the fastest first, as many as bisection can decide.

    Raises NOTHING_PREDICTED_INSIDE: no member is inside. UNLIKE_TABLE: no member can be predicted.
    """
    front = predicted_front(member for member in fitting.searched if predicted_ms(member) <= bound_ms(fitting))
    if not front:
        raise _nothing_inside(fitting, {member.name: predicted_ms(member) for member in fitting.searched}, timed=False)
    return _evenly_spaced(front, 2 ** max(1, fitting.trainings_of_members) - 1)


def _evenly_spaced(front: Sequence[Member], count: int) -> tuple[Member, ...]:
    """Return ``count`` evenly spaced members with both ends, or the middle one."""
    if count == 1:
        return (front[len(front) // 2],)
    count, last = min(count, len(front)), len(front) - 1
    return tuple(front[round(index * last / max(1, count - 1))] for index in range(count))


def _nothing_inside(fitting: Fitting, costs_ms: Mapping[str, float], *, timed: bool) -> EdgecnnError:
    """Return the error of a search without any network inside the budget."""
    request, known = fitting.request, [name for name, ms in costs_ms.items() if math.isfinite(ms)]
    guesses = (prediction for member in fitting.searched for prediction in member.predicted[:1])
    strange = Counter(name for prediction in guesses for name in prediction.extrapolated)
    if not known and strange:
        features = [name for name, _ in strange.most_common(UNLIKE_SHOWN)]
        return UNLIKE_TABLE(family=request.family, table=fitting.prices.used.file, features=features, device=request.device.name)
    least = min(known, key=costs_ms.__getitem__, default=None)
    nearest = None
    if least is not None:
        rate = IMAGES_PER_S in request.choice.within
        speed = f"{short_number(reciprocal_of_p50(costs_ms[least]))} images/s" if rate else f"{short_number(costs_ms[least])} ms"
        nearest = f"{least}, at {'' if timed else f'{MARK} '}{speed}"
    slower = fitting.pace if timed and (fitting.pace or 0) > SLOW else None
    return nothing_predicted_inside(
        family=request.family, budgets=budgets_text(request.choice.within), nearest=nearest, timed=timed, slower=slower
    )


def _time_most_promising(fitting: Fitting, wanted: int) -> None:
    """Time the best members by the stand-in that are predicted inside, or the fastest ones.

    Timing corrects the predictions, and continues until enough members are inside and the correction is stable. Members outside
    the table's range are timed too. Raises NOTHING_PREDICTED_INSIDE, NothingTimed.
    """
    size, known = fitting.first.resolution_px, [member for member in fitting.searched if member.predicted]
    for _ in range(TRIES):
        waiting = [member for member in known if member.name not in fitting.times and member.name not in fitting.untimed]
        before = measured_over_predicted(fitting)
        trying = spread_out(possibly_inside(fitting, waiting), TIMED, size)
        if not trying and not any(is_inside(fitting, member) for member in known):  # a prediction alone excludes nothing
            trying = tuple(sorted((member for member in waiting if math.isfinite(guessed_ms(member))), key=guessed_ms)[:TIMED])
        if not trying:
            break
        time_untrained(fitting, trying)
        if sum(is_inside(fitting, member) for member in known) >= wanted and measured_over_predicted(fitting) >= SMALLER * before:
            break
    if fitting.untimed and not fitting.times:
        reasons = [f"{name}: {why}" for name, why in fitting.untimed.items()]
        raise NO_MEMBER_TIMED(device=fitting.request.device.name, reasons=reasons)
    if fitting.times and not any(is_inside(fitting, member) for member in known):
        raise _nothing_inside(fitting, {name: ms.estimate for name, ms in fitting.times.items()}, timed=True)

"""Which searched networks are worth a training: those inside the budget, by a clock where the device is, else by prediction.

What short trainings make likely of members that had none is a Gaussian process over depth, width, resolution and form. What
stands in for accuracy beforehand only begins.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median, stdev

from edgecnn.building.untrained_kits import KitMaker
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import UNLIKE_TABLE, nothing_predicted_inside, nothing_timed
from edgecnn.errors.wording import bounds_text
from edgecnn.fit.search import guessed_ms, predicted_front, predicted_ms, spread_out, unlike
from edgecnn.fit.state import Fitting
from edgecnn.fit.timing import SLOW, Timed, Yardstick, times_of, untrained_kits
from edgecnn.values.fit import Member
from edgecnn.values.forecast import MARK
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


LENGTH = math.log(2)
"""Of the logarithms of multipliers: half of one is another network, a tenth less of it is nearly the same."""
SPREAD, LEAST_SPREAD, NOISE = 0.05, 0.02, 0.01
"""Of top-1: how much networks differ that share nothing, where fewer than two are known; no less than that; and what another
seed makes of one. MobileNets of three epochs spread by 0.05, neighbours by 0.01 (benchmarks/fit/results/regret-xeon.json)."""
BOLD = 1.0
"""Standard deviations of the bound."""
CHANGED = {"relu6": (1.0, 0.0), "hard-swish": (0.0, 1.0)}
"""Each other activation is a direction of its own, as far as half of a multiplier."""


def promises(learned: Sequence[Member], waiting: Sequence[Member]) -> list[float]:
    """Upper bounds of the top-1 on ``validation``, 0…1, that a short training of each waiting member may come to.

    ``learned``: of one kind, each with a training. Raises ValueError: there are none.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    top1 = [each.trained[0].validation_top1 for each in learned]
    middle, spread = fmean(top1), max(LEAST_SPREAD, stdev(top1)) if len(top1) > 1 else SPREAD
    kernel = ConstantKernel(spread**2, "fixed") * Matern(LENGTH, "fixed", nu=2.5) + WhiteKernel(NOISE**2, "fixed")
    process = GaussianProcessRegressor(kernel, optimizer=None)
    process.fit([_place(each) for each in learned], [each - middle for each in top1])
    mean, deviation = process.predict([_place(each) for each in waiting], return_std=True)
    return [middle + gain + BOLD * sd for gain, sd in zip(mean.tolist(), deviation.tolist(), strict=True)]


def _place(member: Member) -> list[float]:
    form = member.form
    changed = (*CHANGED.get(form.activation, (0.0, 0.0)), float(form.squeeze_excite != "keep"))
    return [*map(math.log, member.multipliers), *(LENGTH * each for each in changed)]


TIMED, TIMED_NEXT = 8, 4
"""Members that are timed before any is trained, and at a time when trainings say which are likely."""
UNLIKE_SHOWN = 3
"""Features by which a failure says that networks are unlike the table's."""
SMALLER = 0.95
"""Times what predictions were thought to be off before: below that, networks were left out that a clock would find inside."""
TRIES = 3
"""How often other members are timed where too few of the last ones were inside."""
MORE = 2
"""Short trainings beside one for each member that will be trained whole."""


def looks_of(members: int) -> tuple[int, int]:
    """Short trainings before trainings say which members are promising, and in all, where so many are trained whole."""
    whole = max(1, members)
    return whole + MORE, 2 * whole + MORE


def shortlist(fitting: Fitting) -> tuple[Member, ...]:
    """The most promising members inside the budget, unlike each other: what is trained a little first.

    Raises NOTHING_PREDICTED_INSIDE: none is inside. UNLIKE_TABLE: nothing is known of any. NothingTimed: what was to be timed
    could not be made or run.
    """
    wanted, cost_ms = looks_of(fitting.trainings_of_members)[0], guessed_ms if fitting.attached else predicted_ms
    if by_clock(fitting):
        _time_first(fitting, wanted)
    inside = [each for each in fitting.searched if is_inside(fitting, each)]
    if not inside:
        raise _outside(fitting, {each.name: cost_ms(each) for each in fitting.searched}, timed=False)
    return spread_out(map(fitting.as_timed, inside), wanted, fitting.first.resolution_px)


def next_likely(fitting: Fitting, looked_at: Sequence[Member], turn: int) -> Member | None:
    """What short trainings so far make most promising; with a clock it is timed, and inside. None: nothing that may be is left.

    Scaled members, and those that begin with the first's weights, say nothing of each other: they take turns, those first of
    which more is known. ``looked_at``: all that had a short training, what failed among them. ``turn``: how many came before.
    """
    by_kind = parted(looked_at, fitting.builder.begins_as_first)
    kinds = sorted((each for each in by_kind if each), key=len, reverse=True)
    for place in range(len(kinds)):
        alike = kinds[(turn + place) % len(kinds)]
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


def parted(members: Iterable[Member], begun: Callable[[Member], bool]) -> tuple[list[Member], list[Member]]:
    """Those that are scaled, and those that begin with the first's weights, each in the order given."""
    found: tuple[list[Member], list[Member]] = ([], [])
    for each in members:
        found[begun(each)].append(each)
    return found


def _likeliest(fitting: Fitting, looked_at: Sequence[Member], waiting: Sequence[Member]) -> Member | None:
    """The most promising that is inside, timed with those next to it where there is a clock; of these few batches at most."""
    order = _by_promise([each for each in looked_at if each.trained], perhaps_inside(fitting, waiting))
    for _ in range(TRIES):
        order = perhaps_inside(fitting, order)
        if not order or fitting.out_of_time:
            return None
        if is_inside(fitting, order[0]):
            return fitting.as_timed(order[0])
        time_untrained(fitting, _untimed_apart(fitting, order))
    return next((fitting.as_timed(each) for each in order if is_inside(fitting, each)), None)


def _by_promise(learned: Sequence[Member], waiting: Sequence[Member]) -> list[Member]:
    """The most promising first; by the stand-in where no training came to anything."""
    if not learned or not waiting:
        return sorted(waiting, key=lambda each: -each.standin)
    ranked = sorted(zip(promises(learned, waiting), waiting, strict=True), key=lambda row: -row[0])
    return [each for _, each in ranked]


def _untimed_apart(fitting: Fitting, order: Sequence[Member]) -> list[Member]:
    found = list[Member]()
    for each in order:
        if len(found) < TIMED_NEXT and each.name not in fitting.times and all(unlike(each, other) for other in found):
            found.append(each)
    return found


def along_front(fitting: Fitting) -> tuple[Member, ...]:
    """As many of the predicted front as halving it so often decides, as evenly as it has them, the fastest first.

    Raises NOTHING_PREDICTED_INSIDE: none is inside. UNLIKE_TABLE: nothing is known of any.
    """
    front = predicted_front(each for each in fitting.searched if predicted_ms(each) <= bound_ms(fitting))
    if not front:
        raise _outside(fitting, {each.name: predicted_ms(each) for each in fitting.searched}, timed=False)
    return _evenly(front, 2 ** max(1, fitting.trainings_of_members) - 1)


def _evenly(front: Sequence[Member], count: int) -> tuple[Member, ...]:
    """So many of them with both ends; one alone is the middle."""
    if count == 1:
        return (front[len(front) // 2],)
    count, last = min(count, len(front)), len(front) - 1
    return tuple(front[round(index * last / max(1, count - 1))] for index in range(count))


def _outside(fitting: Fitting, costs_ms: Mapping[str, float], *, timed: bool) -> EdgecnnError:
    """Why no network is worth a training."""
    asked, known = fitting.asked, [name for name, ms in costs_ms.items() if math.isfinite(ms)]
    strange = Counter(name for each in fitting.searched for said in each.predicted[:1] for name in said.extrapolated)
    if not known and strange:
        features = [name for name, _ in strange.most_common(UNLIKE_SHOWN)]
        return UNLIKE_TABLE(family=asked.family, table=fitting.prices.used.file, features=features, device=asked.device.name)
    least = min(known, key=costs_ms.__getitem__, default=None)
    nearest = None if least is None else f"{least}, at {'' if timed else f'{MARK} '}{costs_ms[least]:.3g} ms"
    slower = fitting.pace if timed and (fitting.pace or 0) > SLOW else None
    return nothing_predicted_inside(
        family=asked.family, budgets=bounds_text(asked.within), nearest=nearest, timed=timed, slower=slower
    )


def _time_first(fitting: Fitting, wanted: int) -> None:
    """Time the best by the stand-in that are predicted inside, else the fastest; then others, by as much larger or smaller as the
    predictions were off, until there are enough and predictions left no better ones out.

    What is unlike the table's networks is timed too, where its guess is inside: then the clock speaks and no prediction.
    Nothing is timed where nothing was searched that may ship. Raises NOTHING_PREDICTED_INSIDE, NothingTimed.
    """
    size, known = fitting.first.resolution_px, [each for each in fitting.searched if each.predicted]
    for _ in range(TRIES):
        waiting = [each for each in known if each.name not in fitting.times and each.name not in fitting.untimed]
        before = times_predicted(fitting)
        trying = spread_out(perhaps_inside(fitting, waiting), TIMED, size)
        if not trying and not any(is_inside(fitting, each) for each in known):  # a prediction alone rules nothing out
            trying = tuple(sorted((each for each in waiting if math.isfinite(guessed_ms(each))), key=guessed_ms)[:TIMED])
        if not trying:
            break
        time_untrained(fitting, trying)
        if sum(is_inside(fitting, each) for each in known) >= wanted and times_predicted(fitting) >= SMALLER * before:
            break
    if fitting.untimed and not fitting.times:
        raise nothing_timed(
            device=fitting.asked.device.name, reasons=fitting.untimed, hint="its latency table was measured before"
        )
    if fitting.times and not any(is_inside(fitting, each) for each in known):
        raise _outside(fitting, {name: ms.estimate for name, ms in fitting.times.items()}, timed=True)

"""The search from beginning to end: predict many, time some, train a few, build and race those, ship one.

Each step leaves its work in the store, so that the same call after an interruption goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import edgecnn
from edgecnn.errors.fit import NothingPredictedInside
from edgecnn.errors.studies import NothingToScale
from edgecnn.fit.finish import Fitted, finished
from edgecnn.fit.members import Course, MemberBuilder
from edgecnn.fit.probes import KitMaker
from edgecnn.fit.request import FitRequest
from edgecnn.fit.search import SearchSpace, guessed_ms, predicted_front, predicted_ms, search_space, spread_out
from edgecnn.fit.state import Fitting, Once, Place
from edgecnn.fit.table import in_a_table
from edgecnn.fit.tables import priced
from edgecnn.fit.timing import times_of, untrained_kits
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import RULES
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import Member
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.verdict import Interval

REVISION = 1
"""Of what a stored trial holds: raised where a network would be predicted, or stood in for, otherwise."""
TIMED = 8
"""Members that are timed before any is trained."""
ROOM = 0.97
"""Of the budget: a p50 is shown to be inside by its upper bound, which lies above the estimate."""
LESS = 0.5
"""Of one axis, to say what it costs."""
TRIES = 3
"""How often other members are timed where too few of the last ones were inside."""


def fit(asked: FitRequest, store: Store, tell: Progress) -> Fitted:
    """Search, train, race and choose.

    Raises:
        NothingToScale: no rule scales the family.
        NoTable, TableOfAnother, TableUnreadable: nothing says what networks cost there.
        NothingPredictedInside: nothing that was looked at is predicted inside the budgets.
        EdgecnnError: of a build.
    """
    began = time.monotonic()
    place = Place(asked, store, Once(tell))
    builder = MemberBuilder(asked, first_of(asked.family), store, place.tell)
    with store.in_use.held():
        with place.machine() as machine:
            resolved = resolve(_plain(asked, builder.spec), store, place.tell, machine.facts)
            lab = machine.lab(store, place.tell, asked.device.name)
            prices = priced(asked, in_a_table(resolved.candidates), lab, attached=resolved.attachment.attached)
        fitting = Fitting(asked, builder, resolved, prices, place, machine=lab.machine)
        _search(fitting)
        if asked.choice.accuracy_top1 is not None:
            inside = [each for each in fitting.searched if predicted_ms(each) <= fitting.budget_ms]
            _train_along(fitting, _along(predicted_front(inside), 2 ** max(1, asked.choice.trainings - 2) - 1))
        else:
            _train(fitting, _worth_training(fitting))
        return finished(fitting, began)


def _plain(asked: FitRequest, spec: ArchSpec) -> BuildRequest:
    """The build of the family's first, for what is resolved of it."""
    model = asked.recipe.model.model_copy(update={"arch": spec.name})
    recipe = asked.recipe.model_copy(update={"model": model})
    return BuildRequest(recipe=recipe, device=asked.device, device_file=asked.device_file, out=asked.out, host=asked.host)


def first_of(family: str) -> ArchSpec:
    """The network that the family's name means. Raises NothingToScale: no rule scales it."""
    if family not in RULES:
        raise NothingToScale(arch=family, families=tuple(RULES))
    return arch_named(RULES[family].first)


def _search(fitting: Fitting) -> None:
    asked, resolved = fitting.asked, fitting.resolved
    space = SearchSpace(
        spec=fitting.builder.spec,
        base_px=resolved.recipe.model.resolution_px or resolved.arch.resolution_px,
        classes=len(resolved.data.classes),
        predictors=fitting.prices.predictors,
        within=asked.within,
    )
    question = {"family": asked.family, "classes": space.classes, "px": space.base_px, "within": dict(asked.within)}
    about = {"revision": REVISION, "version": edgecnn.__version__, "candidates": sorted(fitting.prices.predictors)}
    name = digest_of({**question, **about, "table": fitting.prices.used.model_dump(mode="json")})
    file = fitting.place.store.root / "searches" / name / "study.db"
    first = space.member(1.0, 1.0, space.base_px)
    found = search_space(space, asked.choice.trials, file, fitting.place.tell)
    fitting.searched = tuple(each for each in found if first is None or not _same(each, first))
    if first is not None:
        fitting.members[first.scale] = first
        fitting.axes = _axes(space, predicted_ms(first))


def _same(one: Member, other: Member) -> bool:
    """Other multipliers, rounded to the same network."""
    return (one.macs, one.parameters, one.resolution_px) == (other.macs, other.parameters, other.resolution_px)


def _axes(space: SearchSpace, whole_ms: float) -> dict[str, float]:
    """What is left of the first network's latency with half of one axis."""
    less = {"depth": (LESS, 1.0, 1.0), "width": (1.0, LESS, 1.0), "resolution": (1.0, 1.0, LESS)}
    found = {name: space.member(depth, width, round(side * space.base_px)) for name, (depth, width, side) in less.items()}
    known = {name: predicted_ms(each) for name, each in found.items() if each is not None and each.best_predicted is not None}
    return {name: round(ms / whole_ms, 4) for name, ms in known.items()} if math.isfinite(whole_ms) else {}


def _worth_training(fitting: Fitting) -> tuple[Member, ...]:
    """Members inside the budget, by a time that was taken here where the device is, else by prediction; unlike each other."""
    wanted = max(2, 2 * (fitting.asked.choice.trainings - 2))
    cost_ms = guessed_ms if fitting.attached else predicted_ms
    inside = [each for each in fitting.searched if cost_ms(each) <= fitting.budget_ms and math.isfinite(cost_ms(each))]
    if inside and fitting.attached and math.isfinite(fitting.budget_ms):
        inside = list(_timed_inside(fitting, [each for each in fitting.searched if each.predicted], wanted))
    if not inside:
        raise _nothing_inside(fitting)
    return spread_out((each for each in inside if each.untrained_ms or cost_ms(each) <= ROOM * fitting.budget_ms), wanted)


def _nothing_inside(fitting: Fitting) -> NothingPredictedInside:
    least = min(fitting.searched, key=guessed_ms, default=None)
    nearest = None if least is None else f"{least.scale}, at {guessed_ms(least):.3g} ms"
    budgets = ", ".join(f"{name} ≤ {bound:g}" for name, bound in fitting.asked.within.items())
    return NothingPredictedInside(family=fitting.asked.family, budgets=budgets, nearest=nearest)


def _timed_inside(fitting: Fitting, known: Sequence[Member], wanted: int) -> tuple[Member, ...]:
    """Time the best by the stand-in; where too few are inside, others, as much smaller as the predictions were off.

    What is unlike the table's networks is timed too, where its guess is inside: then the clock speaks and no prediction.
    """
    bound, off = ROOM * fitting.budget_ms, 1.0
    times: dict[str, Interval] = {}
    inside: list[Member] = []
    for _ in range(TRIES):
        candidates = [each for each in known if each.scale not in times and guessed_ms(each) * off <= bound]
        trying = spread_out(candidates, TIMED)
        if not trying:
            break
        found = _timed(fitting, trying)
        times |= found
        inside = [each for each in known if each.scale in times and times[each.scale].estimate <= bound]
        if len(inside) >= wanted:
            break
        ratios = [found[each.scale].estimate / guessed_ms(each) for each in trying if each.scale in found]
        off *= max(1.0, median(ratios)) if ratios else 1.0
    return tuple(each.model_copy(update={"untrained_ms": times[each.scale]}) for each in inside)


def _timed(fitting: Fitting, members: Sequence[Member]) -> dict[str, Interval]:
    place, classes = fitting.place, len(fitting.resolved.data.classes)
    maker = KitMaker(place.store, place.tell, fitting.prices.environment)
    kits = untrained_kits(members, fitting.builder.spec, fitting.prices.candidates, classes, maker)
    with place.lab() as lab:
        return times_of(kits, lab)


def _along(front: Sequence[Member], count: int) -> tuple[Member, ...]:
    """So many of the front, as evenly as it has them."""
    places = {round(index * (len(front) - 1) / max(1, count - 1)) for index in range(min(count, len(front)))}
    return tuple(front[place] for place in sorted(places))


def _first(fitting: Fitting) -> Path | None:
    """The family's first, trained whole and built; its folder, where it teaches."""
    builder, tell = fitting.builder, fitting.place.tell
    first = next(iter(fitting.members.values()))
    tell.note(f"{first.scale}: trained and built first, as {'the teacher' if fitting.asked.choice.teacher else 'the reference'}")
    whole = builder.train(first, Course())
    fitting.members[first.scale] = builder.build(first, Course()).model_copy(update={"trained": (whole,)})
    return builder.folder(first, Course()) if fitting.asked.choice.teacher else None


def _train(fitting: Fitting, waiting: Sequence[Member]) -> None:
    """The family's first whole, as the teacher; the others a little, and the best of them whole."""
    builder, teacher = fitting.builder, _first(fitting)
    short = Course(epochs=fitting.short_epochs, teacher=teacher)
    for number, member in enumerate(waiting):
        fitting.place.tell.note(f"{member.scale}: {short.epochs} epochs, {number + 1} of {len(waiting)}")
        fitting.members[member.scale] = member.model_copy(update={"trained": (builder.train(member, short),)})
    best = sorted(waiting, key=lambda each: -fitting.members[each.scale].trained[0].validation_top1)
    for member in best[: max(1, fitting.asked.choice.trainings - 2)]:
        _whole(fitting, fitting.members[member.scale], teacher)


def _train_along(fitting: Fitting, front: Sequence[Member]) -> None:
    """For the fastest that is accurate enough: halve the predicted front, on which accuracy is taken to rise with latency."""
    teacher, low, high = _first(fitting), 0, len(front) - 1
    while low <= high:
        middle = (low + high) // 2
        built = _whole(fitting, front[middle], teacher)
        reached = built.validation_top1 is not None and built.validation_top1.low >= (fitting.asked.choice.accuracy_top1 or 0)
        low, high = (low, middle - 1) if reached else (middle + 1, high)


def _whole(fitting: Fitting, member: Member, teacher: Path | None) -> Member:
    course = Course(teacher=teacher)
    fitting.place.tell.note(f"{member.scale}: trained whole and built")
    whole = fitting.builder.train(member, course)
    built = fitting.builder.build(member, course).model_copy(update={"trained": (*member.trained, whole)})
    fitting.members[member.scale] = built
    return built

"""The search from beginning to end: predict many, time some, train a few, build and race those, ship one.

Each step leaves its work in the store, so that the same call after an interruption goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from statistics import median

import edgecnn
from edgecnn.errors.fit import FormChosenBySearch, NothingPredictedInside
from edgecnn.errors.studies import NothingToScale
from edgecnn.fit.elsewhere import prices_elsewhere
from edgecnn.fit.finish import Fitted, finished
from edgecnn.fit.halving import train_along, train_best
from edgecnn.fit.members import MemberBuilder
from edgecnn.fit.probes import KitMaker
from edgecnn.fit.request import FitRequest
from edgecnn.fit.search import guessed_ms, identity_of, predicted_front, predicted_ms, search_space, spread_out
from edgecnn.fit.space import SearchSpace
from edgecnn.fit.state import Fitting, Once, Place
from edgecnn.fit.table import in_a_table
from edgecnn.fit.tables import Priced, priced
from edgecnn.fit.timing import times_of, untrained_kits
from edgecnn.models.compound import RULES
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.planning.training import require_teachable
from edgecnn.store.store import Store
from edgecnn.studies.cost import network_or_family
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import Member
from edgecnn.values.recipe import SurgeryChoice
from edgecnn.values.resolved import Resolved
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.training import AS_IT_IS, Form
from edgecnn.values.verdict import Interval

REVISION = 3
"""Of what a stored trial holds: raised where a network would be predicted, or stood in for, otherwise."""
TIMED = 8
"""Members that are timed before any is trained."""
ROOM = 0.97
"""Of the budget: a p50 is shown to be inside by its upper bound, which lies above the estimate."""
LESS = 0.5
"""Of one axis, to say what it saves."""
TRIES = 3
"""How often other members are timed where too few of the last ones were inside."""


def fit(asked: FitRequest, store: Store, tell: Progress) -> Fitted:
    """Search, train, race and choose.

    Raises:
        NothingToScale: no rule scales the family.
        FormChosenBySearch, TeacherNotFitting: what the recipe states goes with no search.
        NoTable, TableOfAnother, TableUnreadable: nothing says what networks cost there.
        NothingPredictedInside: nothing that was looked at is predicted inside the budgets.
        EdgecnnError: of a build.
    """
    began = time.monotonic()
    _require_searchable(asked.recipe.surgery)
    place = Place(asked, store, Once(tell))
    spec = first_of(asked.family)
    others = prices_elsewhere(asked.others)
    with store.in_use.held():
        with place.machine() as machine:
            resolved = resolve(_plain(asked, spec), store, place.tell, machine.facts)
            if asked.choice.teacher:
                _require_teachable(resolved, asked.family)
            lab = machine.lab(store, place.tell, asked.device.name)
            prices = priced(asked, in_a_table(resolved.candidates), lab, attached=resolved.attachment.attached)
        space, first = _space(asked, resolved, prices)
        builder = MemberBuilder(asked, spec, store, place.tell, first.scale)
        fitting = Fitting(asked, builder, resolved, prices, place, first, began, others, machine=lab.machine)
        _search(fitting, space)
        if asked.choice.accuracy_top1 is not None:
            inside = [each for each in fitting.searched if predicted_ms(each) <= fitting.budget_ms]
            train_along(fitting, _along(predicted_front(inside), 2 ** max(1, asked.choice.trainings - 2) - 1))
        else:
            train_best(fitting, _worth_training(fitting))
        return finished(fitting)


def _require_searchable(surgery: SurgeryChoice) -> None:
    """Raises FormChosenBySearch: the recipe states a form."""
    stated = [name for name, value in Form.of(surgery) if value != getattr(AS_IT_IS, name)] + ["instead"] * surgery.instead
    if stated:
        raise FormChosenBySearch(asked=stated[0])


def _require_teachable(resolved: Resolved, family: str) -> None:
    """Before the teacher itself is trained. Raises TeacherNotFitting: what does not go with one."""
    taught = resolved.asked.train.model_copy(update={"teacher": family})
    mode = resolved.mode
    taught_by = resolved.asked.model_copy(update={"train": taught})
    require_teachable(taught_by, None if mode == "custom" or mode == "kept" else mode)


def _space(asked: FitRequest, resolved: Resolved, prices: Priced) -> tuple[SearchSpace, Member]:
    """What is searched, and the network that it begins with. Raises ResolutionUnderStride: there is none so small."""
    base_px = resolved.recipe.model.resolution_px or resolved.arch.resolution_px
    space = SearchSpace(
        spec=resolved.arch,
        base_px=base_px,
        classes=len(resolved.data.classes),
        predictors=prices.predictors,
        within=asked.within,
        pretrained=resolved.mode == "finetune",
    )
    return space, space.scaled_to(CompoundScale(depth=1.0, width=1.0, resolution=base_px))


def _plain(asked: FitRequest, spec: ArchSpec) -> BuildRequest:
    """The build of the family's first, for what is resolved of it."""
    model = asked.recipe.model.model_copy(update={"arch": spec.name})
    recipe = asked.recipe.model_copy(update={"model": model})
    return BuildRequest(recipe=recipe, device=asked.device, device_file=asked.device_file, out=asked.out, host=asked.host)


def first_of(family: str) -> ArchSpec:
    """The network that the family's name means, or that is named itself.

    Raises UnknownArch: neither has the name. NothingToScale: no rule scales its family.
    """
    spec = network_or_family(family)
    if spec.family not in RULES:
        raise NothingToScale(arch=family, families=tuple(RULES))
    return spec


def _search(fitting: Fitting, space: SearchSpace) -> None:
    asked, first = fitting.asked, fitting.first
    question = {
        "revision": REVISION,
        "version": edgecnn.__version__,
        "network": space.spec.name,
        "classes": space.classes,
        "px": space.base_px,
        "pretrained": space.pretrained,
        "within": dict(asked.within),
        "candidates": sorted(fitting.prices.predictors),
        "table": fitting.prices.used.model_dump(mode="json"),
    }
    name = digest_of(question)
    file = fitting.place.store.root / "searches" / name / "study.db"
    found = search_space(space, asked.choice.trials, file, fitting.place.tell)
    fitting.searched = tuple(each for each in found if identity_of(each) != identity_of(first))
    fitting.members[first.name] = first
    fitting.axes = _axes(space, predicted_ms(first))


def _axes(space: SearchSpace, whole_ms: float) -> dict[str, float]:
    """What is left of the first network's latency with one thing changed."""
    side, half_px = space.base_px, round(LESS * space.base_px)
    found = {
        "half the depth": space.member(LESS, 1.0, side),
        "half the width": space.member(1.0, LESS, side),
        "half the resolution": space.member(1.0, 1.0, half_px),
        "half of the channels pruned": space.member(1.0, 1.0, side, Form(pruned=LESS)),
    }
    if "relu6" in space.activations:
        found["ReLU6 for SiLU"] = space.member(1.0, 1.0, side, Form(activation="relu6"))
    if "remove" in space.squeeze_excites:
        found["no squeeze-excite"] = space.member(1.0, 1.0, side, Form(squeeze_excite="remove"))
    known = {name: predicted_ms(each) for name, each in found.items() if each is not None and each.best_predicted is not None}
    return {name: round(ms / whole_ms, 4) for name, ms in known.items()} if math.isfinite(whole_ms) else {}


def _worth_training(fitting: Fitting) -> tuple[Member, ...]:
    """Members inside the budget, by a time that was taken here where the device is, else by prediction; unlike each other."""
    wanted = max(2, 2 * (fitting.asked.choice.trainings - 2))
    cost_ms = guessed_ms if fitting.attached else predicted_ms
    inside = [each for each in fitting.searched if cost_ms(each) <= fitting.budget_ms and math.isfinite(cost_ms(each))]
    if not inside:
        raise _outside(fitting, {each.name: cost_ms(each) for each in fitting.searched}, timed=False)
    if fitting.attached and math.isfinite(fitting.budget_ms):
        inside = list(_timed_inside(fitting, [each for each in fitting.searched if each.predicted], wanted))
    near = (each for each in inside if each.untrained_ms or cost_ms(each) <= ROOM * fitting.budget_ms)
    return spread_out(near, wanted, fitting.first.resolution_px)


def _outside(fitting: Fitting, costs_ms: Mapping[str, float], *, timed: bool) -> NothingPredictedInside:
    least = min(costs_ms, key=costs_ms.__getitem__, default=None)
    nearest = None if least is None or not math.isfinite(costs_ms[least]) else f"{least}, at {costs_ms[least]:.3g} ms"
    budgets = ", ".join(f"{name} ≤ {bound:g}" for name, bound in fitting.asked.within.items())
    return NothingPredictedInside(family=fitting.asked.family, budgets=budgets, nearest=nearest, timed=timed)


def _timed_inside(fitting: Fitting, known: Sequence[Member], wanted: int) -> tuple[Member, ...]:
    """Time the best by the stand-in; where too few are inside, others, as much smaller as the predictions were off.

    Raises NothingPredictedInside: none of those that were timed is.

    What is unlike the table's networks is timed too, where its guess is inside: then the clock speaks and no prediction.
    """
    bound, off = ROOM * fitting.budget_ms, 1.0
    times: dict[str, Interval] = {}
    inside: list[Member] = []
    for _ in range(TRIES):
        candidates = [each for each in known if each.name not in times and guessed_ms(each) * off <= bound]
        trying = spread_out(candidates, TIMED, fitting.first.resolution_px)
        if not trying:
            break
        found = _timed(fitting, trying)
        times |= found
        inside = [each for each in known if each.name in times and times[each.name].estimate <= bound]
        if len(inside) >= wanted:
            break
        ratios = [found[each.name].estimate / guessed_ms(each) for each in trying if each.name in found]
        off *= max(1.0, median(ratios)) if ratios else 1.0
    if not inside:
        raise _outside(fitting, {name: ms.estimate for name, ms in times.items()}, timed=True)
    return tuple(each.model_copy(update={"untrained_ms": times[each.name]}) for each in inside)


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

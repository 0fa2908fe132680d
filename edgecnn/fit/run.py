"""Run a search: short trainings first, then complete trainings of the better half."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path

import edgecnn
from edgecnn.building.build import check_output
from edgecnn.building.forecasts import build_away
from edgecnn.building.measuring import require_meter
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NOTHING_TO_SCALE, not_in_a_search
from edgecnn.errors.hosts import BoardError
from edgecnn.errors.labels import multi_label_not_fitting
from edgecnn.fit.finish import Fitted, finished, prices_of_others
from edgecnn.fit.members import PATIENT, Course, MemberBuilder
from edgecnn.fit.prices import Priced, forecast_prices, priced, table_file
from edgecnn.fit.request import FitRequest
from edgecnn.fit.search import SearchSpace, code_of_trials, identity_of, predicted_ms, search_space
from edgecnn.fit.shortlist import members_along_front, next_promising, short_trainings, shortlist, split_by_origin
from edgecnn.fit.state import Fitting, Once, Place
from edgecnn.fit.timing import require_own_name, timeable_candidates
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import open_log
from edgecnn.models.compound import RULES
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.planning.training import require_teachable
from edgecnn.store.store import Store
from edgecnn.studies.cost import network_or_family
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import Member
from edgecnn.values.forecast import MARK
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.training import AS_IT_IS, Form


def build_first(fitting: Fitting) -> Path | None:
    """Train and build the family's first network; return its folder if it is the teacher. Raises EdgecnnError: that failed."""
    builder, tell, first = fitting.builder, fitting.place.tell, fitting.first
    tell.note(f"{first.name}: trained and built first, as {'the teacher' if fitting.request.choice.teacher else 'the reference'}")
    fitting.members[first.name] = _train_and_build(fitting, first, Course())
    return builder.folder(first, Course()) if fitting.request.choice.teacher else None


def train_best(fitting: Fitting, waiting: Sequence[Member]) -> None:
    """Train the family's first network completely, the others briefly, and the best of those completely.

    At least one member is built. Raises EdgecnnError: the last error, if no member could be trained.
    """
    teacher = build_first(fitting)
    learned = _train_briefly(fitting, waiting, teacher) or list(waiting[:1])
    wanted, built = min(max(len(waiting), len(learned)), max(1, fitting.trainings_of_members)), 0
    for member in best_of_each_kind(learned, fitting):
        if built == wanted or (built and fitting.out_of_time):
            break
        built += train_and_build(fitting, member, teacher).failed is None
    fitting.note_skipped_trainings(wanted - built)


def _train_briefly(fitting: Fitting, shortlisted: Sequence[Member], teacher: Path | None) -> list[Member]:
    """Train members briefly, and return those whose training succeeded."""
    builder, tell, failed = fitting.builder, fitting.place.tell, None
    looked_at, (_, most) = list[Member](), short_trainings(fitting.trainings_of_members)
    for number, member in enumerate(islice(_members_to_try(fitting, shortlisted, looked_at), most)):
        tell.note(f"{member.name}: a short training, {number + 1} of at most {most}")
        outcome, error = _keep_outcome(
            fitting, member, partial(_train, fitting, member, builder.course(member, teacher, short=True))
        )
        failed = error or failed
        looked_at.append(outcome)
    learned = [looked for looked in looked_at if looked.failed is None]
    if failed is not None and not learned:
        raise failed
    return learned


def _members_to_try(fitting: Fitting, shortlisted: Sequence[Member], looked_at: Sequence[Member]) -> Iterator[Member]:
    """Yield the shortlist, then one by one the members that trainings make promising, while there is time.

    The caller appends each trained member to ``looked_at``.
    """
    for member in shortlisted:
        if not fitting.out_of_time:
            yield member
    for turn in count():
        likely = None if fitting.out_of_time else next_promising(fitting, looked_at, turn)
        if likely is None or fitting.out_of_time:
            return
        yield likely


def _train(fitting: Fitting, member: Member, course: Course) -> Member:
    return member.model_copy(update={"trained": (*member.trained, fitting.builder.train(member, course))})


def bisect_front(fitting: Fitting, front: Sequence[Member]) -> None:
    """Find the fastest member that is accurate enough by bisection of the predicted front.

    Accuracy is assumed to rise with latency along the front.
    """
    waiting, teacher = list(front), build_first(fitting)
    low, high = 0, len(waiting) - 1
    while low <= high:
        if fitting.out_of_time and high - low + 1 < len(waiting):
            fitting.note_skipped_trainings((high - low + 1).bit_length())
            break
        middle = (low + high) // 2
        built = train_and_build(fitting, waiting[middle], teacher)
        if built.failed is not None:  # a failure shows nothing about the other members
            del waiting[middle]
            high -= 1
            continue
        reached = built.validation_top1 is not None and built.validation_top1.low >= (fitting.request.choice.accuracy_top1 or 0)
        low, high = (low, middle - 1) if reached else (middle + 1, high)


def train_and_build(fitting: Fitting, member: Member, teacher: Path | None) -> Member:
    """Train and build a member. A failure is noted, and kept with its reason."""
    fitting.place.tell.note(f"{member.name}: complete training and build")
    return _keep_outcome(fitting, member, partial(_train_and_build, fitting, member, fitting.builder.course(member, teacher)))[0]


def _train_and_build(fitting: Fitting, member: Member, course: Course) -> Member:
    trained = _train(fitting, member, course).trained
    return fitting.builder.build(member, course).model_copy(update={"trained": trained})


def _keep_outcome(fitting: Fitting, member: Member, work: Callable[[], Member]) -> tuple[Member, EdgecnnError | None]:
    """Do the work on a member and keep the result, or keep the member with the reason of its failure. Raises BoardError."""
    made, broke = member, None
    try:
        made = work()
    except BoardError:
        raise
    except EdgecnnError as error:
        fitting.place.tell.note(f"{member.name} failed: {error.what}")
        made, broke = member.model_copy(update={"failed": error.what}), error
    fitting.members[member.name] = made
    return made, broke


def best_of_each_kind(members: Sequence[Member], fitting: Fitting) -> list[Member]:
    """Order members by short trainings: the best of each kind, then the second best of each. Without any, keep the order."""
    ranked = []
    for kind in split_by_origin(members, fitting.builder.starts_from_first):
        ranked += [(place, _rank_key(member), member) for place, member in enumerate(sorted(kind, key=_rank_key))]
    return [member for _, _, member in sorted(ranked, key=lambda row: row[:2])]


def _rank_key(member: Member) -> float:
    """Return a sort key that is smaller for better short trainings."""
    return -member.trained[0].validation_top1 if member.trained else 0.0


KIND = "search"
"""Kind of work in the store. ``store gc`` deletes a study that was not used for a day; drawing it again takes a minute."""
LESS = 0.5
"""Share of one axis, to show how much it saves."""


def fit(request: FitRequest, store: Store, tell: Progress) -> Fitted:
    """Search, train, race and choose.

    Raises:
        NOTHING_TO_SCALE: no rule scales the family.
        NOT_IN_A_SEARCH, TEACHER_NOT_FITTING: the recipe has a setting that a search does not take.
        OUTPUT_UNUSABLE, METER_LOG_UNREADABLE, NO_METER_FOR_OBJECTIVE: results cannot be written, or energy cannot be read.
        TABLE_NEEDS_FILE: the device's name fits any machine, and a board is named.
        NO_TABLE, TABLE_OF_ANOTHER, TABLE_UNREADABLE: the device has no usable latency table.
        NOTHING_PREDICTED_INSIDE: no network is predicted, or timed, inside the budgets.
        UNLIKE_TABLE: no network is similar to those of the table.
        NothingTimed: no network could be made and timed.
        MultiLabelNotFitting: the images have several labels.
        EdgecnnError: a build failed.
    """
    began = time.monotonic()
    for setting in _unsearched(request.recipe):
        raise not_in_a_search(setting=setting)
    check_output(request.out, request.recipe.data.path)
    if request.meter is not None:
        open_log(request.meter)
    if request.table is None:
        require_own_name(request.device, request.host)
    place = Place(request, store, Once(tell))
    spec = first_of(request.family)
    others = prices_of_others(request.others)
    with store.in_use.held():
        with place.machine() as machine:
            resolved = resolve(_build_of_first(request, spec), store, place.tell, machine.facts)
            if resolved.data.multi_label:
                because, hint = "a search compares networks by single-class accuracy", "build one network of the family instead"
                raise multi_label_not_fitting(setting="edgecnn fit", because=because, hint=hint)
            if request.choice.teacher:
                _require_teachable(resolved, request.family)
            if "energy_mj" in request.within and resolved.attachment.attached:
                require_meter(machine.environment, resolved.candidates, request.meter, "--within energy_mj")
            lab = machine.lab(store, place.tell, request.device.name)
            prices = _prices(request, resolved, lab)
        space, first = _search_space(request, resolved, prices)
        epochs = None if resolved.mode == "finetune" else PATIENT * (resolved.recipe.train.epochs or 0)
        builder = MemberBuilder(request, spec, store, place.tell, first.scale, epochs)
        fitting = Fitting(request, builder, resolved, prices, place, first, began, others, machine=lab.machine)
        _search(fitting, space)
        if request.choice.accuracy_top1 is not None:
            bisect_front(fitting, members_along_front(fitting))
        else:
            train_best(fitting, shortlist(fitting))
        return finished(fitting)


def _prices(request: FitRequest, resolved: Resolved, lab: Lab) -> Priced:
    """Return predictors from the latency table, or from forecasts if the device is away and has no table.

    Raises as ``priced`` and ``forecast_prices``.
    """
    candidates, attached = timeable_candidates(resolved.candidates), resolved.attachment.attached
    if attached or request.table is not None or table_file(request.device.name) is not None:
        return priced(request, candidates, lab, attached=attached)
    lab.tell.note(f"{request.device.name} is not attached and has no latency table; using forecasts ({MARK}), provisionally")
    return forecast_prices(build_away(resolved, candidates), lab)


def _unsearched(recipe: Recipe) -> list[str]:
    """Return the settings of a recipe that a search does not take."""
    model, train, surgery = recipe.model, recipe.train, recipe.surgery
    refused = {f"surgery.{name}": value != getattr(AS_IT_IS, name) for name, value in Form.of(surgery)}
    refused |= {
        "surgery.instead": surgery.instead,
        "model.scale": model.scale is not None,
        "train.teacher": train.teacher is not None,
        "train.folds": train.folds is not None,
        "train.minutes": train.minutes is not None,
        "model.onnx": model.onnx is not None,
        "model.keep_head": model.keep_head,
    }
    return [setting for setting, is_refused in refused.items() if is_refused]


def _require_teachable(resolved: Resolved, family: str) -> None:
    """Check that members can be distilled, before the teacher is trained. Raises TEACHER_NOT_FITTING: they cannot."""
    taught = resolved.asked.train.model_copy(update={"teacher": family})
    mode = None if resolved.mode == "custom" or resolved.mode == "kept" else resolved.mode
    require_teachable(resolved.asked.model_copy(update={"train": taught}), mode)


def _search_space(request: FitRequest, resolved: Resolved, prices: Priced) -> tuple[SearchSpace, Member]:
    """Return the search space and its first network. Raises ResolutionUnderStride: the resolution is too small."""
    base_px = resolved.recipe.model.resolution_px or resolved.arch.resolution_px
    space = SearchSpace(
        spec=resolved.arch,
        base_px=base_px,
        classes=len(resolved.data.classes),
        predictors=prices.predictors,
        within=request.within,
        pretrained=resolved.mode == "finetune",
    )
    return space, space.scaled_to(CompoundScale(depth=1.0, width=1.0, resolution=base_px.short_px))


def _build_of_first(request: FitRequest, spec: ArchSpec) -> BuildRequest:
    model = request.recipe.model.model_copy(update={"arch": spec.name})
    recipe = request.recipe.model_copy(update={"model": model})
    return BuildRequest(recipe=recipe, device=request.device, device_file=request.device_file, out=request.out, host=request.host)


def first_of(family: str) -> ArchSpec:
    """Return the first network of a family, or the named network.

    Raises UnknownArch: no family or network has the name. NOTHING_TO_SCALE: no rule scales its family.
    """
    spec = network_or_family(family)
    if spec.family not in RULES:
        raise NOTHING_TO_SCALE(arch=family, families=tuple(RULES))
    return spec


def _search(fitting: Fitting, space: SearchSpace) -> None:
    request, first = fitting.request, fitting.first
    question = {
        "code": code_of_trials(),
        "version": edgecnn.__version__,
        "network": space.spec.name,
        "classes": space.classes,
        "px": space.base_px.stated,
        "pretrained": space.pretrained,
        "within": dict(request.within),
        "candidates": sorted(fitting.prices.predictors),
        "table": fitting.prices.content,
    }
    name, store, tell = digest_of(question), fitting.place.store, fitting.place.tell
    with store.locks.held(KIND, name, tell):
        members = search_space(space, request.choice.trials, store.layout.work(KIND, name) / "study.db", tell)
    fitting.searched = tuple(member for member in members if identity_of(member) != identity_of(first))
    fitting.members[first.name] = first
    fitting.axes = _savings_by_axis(space, predicted_ms(first))


def _savings_by_axis(space: SearchSpace, whole_ms: float) -> dict[str, float]:
    """Return the share of the first network's latency that is left after each single change."""
    side, half_px = space.base_px.short_px, round(LESS * space.base_px.short_px)
    members = {
        "half the depth": space.member(LESS, 1.0, side),
        "half the width": space.member(1.0, LESS, side),
        "half the resolution": space.member(1.0, 1.0, half_px),
        "half of the channels pruned": space.member(1.0, 1.0, side, Form(pruned=LESS)),
    }
    if "relu6" in space.activations:
        members["ReLU6 for SiLU"] = space.member(1.0, 1.0, side, Form(activation="relu6"))
    if "remove" in space.squeeze_excites:
        members["no squeeze-excite"] = space.member(1.0, 1.0, side, Form(squeeze_excite="remove"))
    known = {name: predicted_ms(member) for name, member in members.items() if member is not None and member.best_predicted}
    return {name: round(ms / whole_ms, 4) for name, ms in known.items()} if math.isfinite(whole_ms) else {}

"""The search from start to end: short trainings first, of which the better half goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path

import edgecnn
from edgecnn.building.objective_race import require_meter
from edgecnn.building.publish import check_output
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data.multi_label import multi_label_not_fitting
from edgecnn.errors.fit import NOT_IN_A_SEARCH, NOTHING_TO_SCALE
from edgecnn.errors.hosts.board import BoardError
from edgecnn.fit.finish import Fitted, finished, prices_elsewhere
from edgecnn.fit.forecast_prices import forecast_prices
from edgecnn.fit.members import PATIENT, Course, MemberBuilder
from edgecnn.fit.request import FitRequest
from edgecnn.fit.search import code_of_trials, identity_of, predicted_ms, search_space
from edgecnn.fit.shortlist import along_front, looks_of, next_likely, parted, shortlist
from edgecnn.fit.space import SearchSpace
from edgecnn.fit.state import Fitting, Once, Place
from edgecnn.fit.table import in_a_table, require_own_name
from edgecnn.fit.tables import Priced, priced, table_file
from edgecnn.measure.energy import open_log
from edgecnn.measure.lab import Lab
from edgecnn.models.compound import RULES
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.planning.training import require_teachable
from edgecnn.store.store import Store
from edgecnn.studies.cost import network_or_family
from edgecnn.values.arch import ArchSpec
from edgecnn.values.candidate import Candidate
from edgecnn.values.fit import Member
from edgecnn.values.forecast import MARK
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.training import AS_IT_IS, Form


def build_first(fitting: Fitting) -> Path | None:
    """The family's first, trained whole and built; its folder, where it teaches. Raises EdgecnnError: there is no reference."""
    builder, tell = fitting.builder, fitting.place.tell
    first = fitting.first
    tell.note(f"{first.name}: trained and built first, as {'the teacher' if fitting.asked.choice.teacher else 'the reference'}")
    fitting.members[first.name] = _whole(fitting, first, Course())
    return builder.folder(first, Course()) if fitting.asked.choice.teacher else None


def train_best(fitting: Fitting, waiting: Sequence[Member]) -> None:
    """The family's first whole, as the teacher; the others a little, and the best of them whole. One is built in any case.

    Raises EdgecnnError: none of them could be trained; that of the last.
    """
    teacher = build_first(fitting)
    learned = _a_little(fitting, waiting, teacher) or list(waiting[:1])
    wanted, built = min(max(len(waiting), len(learned)), max(1, fitting.trainings_of_members)), 0
    for member in in_turn(learned, fitting):
        if built == wanted or (built and fitting.out_of_time):
            break
        built += build_whole(fitting, member, teacher).failed is None
    fitting.leave_out(wanted - built)


def _a_little(fitting: Fitting, shortlisted: Sequence[Member], teacher: Path | None) -> list[Member]:
    """Those of which a short training came to something."""
    builder, tell, failed = fitting.builder, fitting.place.tell, None
    looked_at, (_, most) = list[Member](), looks_of(fitting.trainings_of_members)
    for number, member in enumerate(islice(_worth_a_look(fitting, shortlisted, looked_at), most)):
        tell.note(f"{member.name}: a short training, {number + 1} of at most {most}")
        made, broke = _noted(fitting, member, partial(_once, fitting, member, builder.course(member, teacher, short=True)))
        failed = broke or failed
        looked_at.append(made)
    learned = [each for each in looked_at if each.failed is None]
    if failed is not None and not learned:
        raise failed
    return learned


def _worth_a_look(fitting: Fitting, shortlisted: Sequence[Member], looked_at: Sequence[Member]) -> Iterator[Member]:
    """The shortlist, then one by one what trainings make promising, while there is time. ``looked_at`` grows meanwhile."""
    for member in shortlisted:
        if not fitting.out_of_time:
            yield member
    for turn in count():
        likely = None if fitting.out_of_time else next_likely(fitting, looked_at, turn)
        if likely is None or fitting.out_of_time:
            return
        yield likely


def _once(fitting: Fitting, member: Member, course: Course) -> Member:
    return member.model_copy(update={"trained": (*member.trained, fitting.builder.train(member, course))})


def train_along(fitting: Fitting, front: Sequence[Member]) -> None:
    """For the fastest that is accurate enough: halve the predicted front, on which accuracy is taken to rise with latency."""
    waiting, teacher = list(front), build_first(fitting)
    low, high = 0, len(waiting) - 1
    while low <= high:
        if fitting.out_of_time and high - low + 1 < len(waiting):
            fitting.leave_out((high - low + 1).bit_length())
            break
        middle = (low + high) // 2
        built = build_whole(fitting, waiting[middle], teacher)
        if built.failed is not None:  # which says nothing of the others
            del waiting[middle]
            high -= 1
            continue
        reached = built.validation_top1 is not None and built.validation_top1.low >= (fitting.asked.choice.accuracy_top1 or 0)
        low, high = (low, middle - 1) if reached else (middle + 1, high)


def build_whole(fitting: Fitting, member: Member, teacher: Path | None) -> Member:
    """Train and build it; what fails is told and kept with its reason."""
    fitting.place.tell.note(f"{member.name}: trained whole and built")
    return _noted(fitting, member, partial(_whole, fitting, member, fitting.builder.course(member, teacher)))[0]


def _whole(fitting: Fitting, member: Member, course: Course) -> Member:
    trained = _once(fitting, member, course).trained
    return fitting.builder.build(member, course).model_copy(update={"trained": trained})


def _noted(fitting: Fitting, member: Member, work: Callable[[], Member]) -> tuple[Member, EdgecnnError | None]:
    """What the work makes of a member, or the member with why it made nothing; the search keeps either. Raises BoardError."""
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


def in_turn(members: Sequence[Member], fitting: Fitting) -> list[Member]:
    """The best of each kind, then the second best of each, by what a short training came to; without one, as they are."""
    ranked = []
    for kind in parted(members, fitting.builder.begins_as_first):
        ranked += [(place, _behind(each), each) for place, each in enumerate(sorted(kind, key=_behind))]
    return [each for _, _, each in sorted(ranked, key=lambda row: row[:2])]


def _behind(member: Member) -> float:
    """The less, the better a training came out."""
    return -member.trained[0].validation_top1 if member.trained else 0.0


KIND = "search"
"""Of the store's work: a study that nobody went on with for a day goes with ``store gc``, and is drawn again in a minute."""
LESS = 0.5
"""Of one axis, to say what it saves."""
_FORMED = "each of its networks has a form of its own"
_UNFORMED = "leave activation, squeeze_excite, pruned and instead out of [surgery]; epochs and learning_rate hold of all"
_UNTRAINED = ("its networks are trained", "`edgecnn build` takes what is trained already")


def fit(asked: FitRequest, store: Store, tell: Progress) -> Fitted:
    """Search, train, race and choose.

    Raises:
        NOTHING_TO_SCALE: no rule scales the family.
        NOT_IN_A_SEARCH, TEACHER_NOT_FITTING: what the recipe states goes with no search.
        OUTPUT_UNUSABLE, METER_LOG_UNREADABLE, NO_METER_FOR_OBJECTIVE: results or energy could not be written or read.
        TABLE_NEEDS_FILE: the device's name is any machine's, and a board is named.
        NO_TABLE, TABLE_OF_ANOTHER, TABLE_UNREADABLE: nothing says what networks cost there.
        NOTHING_PREDICTED_INSIDE: nothing that was looked at is predicted, or timed, inside the budgets.
        UNLIKE_TABLE: the table has no network like any that was looked at.
        NothingTimed: nothing that was to be timed could be made and run.
        MultiLabelNotFitting: the images have several labels.
        EdgecnnError: of a build.
    """
    began = time.monotonic()
    _require_searchable(asked.recipe)
    check_output(asked.out, asked.recipe.data.path)
    if asked.meter is not None:
        open_log(asked.meter)
    if asked.table is None:
        require_own_name(asked.device, asked.host)
    place = Place(asked, store, Once(tell))
    spec = first_of(asked.family)
    others = prices_elsewhere(asked.others)
    with store.in_use.held():
        with place.machine() as machine:
            resolved = resolve(_plain(asked, spec), store, place.tell, machine.facts)
            if resolved.data.multi_label:
                raise multi_label_not_fitting(
                    asked="edgecnn fit", because=_BY_CLASS, hint="build one network of the family instead"
                )
            if asked.choice.teacher:
                _require_teachable(resolved, asked.family)
            if "energy_mj" in asked.within and resolved.attachment.attached:
                require_meter(machine.environment, resolved.candidates, asked.meter, "--within energy_mj")
            lab = machine.lab(store, place.tell, asked.device.name)
            prices = _prices(asked, in_a_table(resolved.candidates), lab, attached=resolved.attachment.attached)
        space, first = _space(asked, resolved, prices)
        epochs = None if resolved.mode == "finetune" else PATIENT * (resolved.recipe.train.epochs or 0)
        builder = MemberBuilder(asked, spec, store, place.tell, first.scale, epochs)
        fitting = Fitting(asked, builder, resolved, prices, place, first, began, others, machine=lab.machine)
        _search(fitting, space)
        if asked.choice.accuracy_top1 is not None:
            train_along(fitting, along_front(fitting))
        else:
            train_best(fitting, shortlist(fitting))
        return finished(fitting)


def _prices(asked: FitRequest, candidates: Sequence[Candidate], lab: Lab, *, attached: bool) -> Priced:
    """By the table; by forecasts where the device is away and has none. Raises as ``priced`` and ``forecast_prices``."""
    if attached or asked.table is not None or table_file(asked.device.name) is not None:
        return priced(asked, candidates, lab, attached=attached)
    shippable = [each for each in candidates if each.runtime in asked.device.built_for(asked.recipe.target.runtime)]
    lab.tell.note(f"{asked.device.name} is away and has no latency table: forecasts ({MARK}) take its place, provisionally")
    own = None if asked.device_file is None else str(asked.device_file)
    return forecast_prices(asked.device, shippable, lab, own)


_BY_CLASS = "members are told apart by the accuracy of one class an image"


def _require_searchable(recipe: Recipe) -> None:
    """Raises NOT_IN_A_SEARCH: the recipe states what is searched, or what is not trained."""
    for asked, because, hint in _unsearched(recipe):
        raise NOT_IN_A_SEARCH(asked=asked, because=because, hint=hint)


def _unsearched(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """What is stated, why it goes with no search, and what to do instead."""
    surgery, leave = recipe.surgery, "leave it out of the recipe"
    for name, value in Form.of(surgery):
        if value != getattr(AS_IT_IS, name):
            yield f"surgery.{name}", _FORMED, _UNFORMED
    if surgery.instead:
        yield "surgery.instead", _FORMED, _UNFORMED
    if recipe.model.scale is not None:
        hint = f"{leave}; --family begins with a network of any scale's family, model.resolution_px with another resolution"
        yield "model.scale", "depth, width and resolution are what it searches", hint
    if recipe.train.teacher is not None:
        yield "train.teacher", "the family's first network teaches the others", f"{leave}, or learn from labels: --no-teacher"
    if recipe.train.folds is not None:
        yield "train.folds", "members are compared on one test split", f"{leave}, and build what ships with it"
    if recipe.model.onnx is not None:
        yield "model.onnx", *_UNTRAINED
    if recipe.model.keep_head:
        yield "model.keep_head", *_UNTRAINED


def _require_teachable(resolved: Resolved, family: str) -> None:
    """Before the teacher itself is trained. Raises TEACHER_NOT_FITTING: what does not go with one."""
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
    return space, space.scaled_to(CompoundScale(depth=1.0, width=1.0, resolution=base_px.short_px))


def _plain(asked: FitRequest, spec: ArchSpec) -> BuildRequest:
    """The build of the family's first, for what is resolved of it."""
    model = asked.recipe.model.model_copy(update={"arch": spec.name})
    recipe = asked.recipe.model_copy(update={"model": model})
    return BuildRequest(recipe=recipe, device=asked.device, device_file=asked.device_file, out=asked.out, host=asked.host)


def first_of(family: str) -> ArchSpec:
    """The network that the family's name means, or that is named itself.

    Raises UnknownArch: neither has the name. NOTHING_TO_SCALE: no rule scales its family.
    """
    spec = network_or_family(family)
    if spec.family not in RULES:
        raise NOTHING_TO_SCALE(arch=family, families=tuple(RULES))
    return spec


def _search(fitting: Fitting, space: SearchSpace) -> None:
    asked, first = fitting.asked, fitting.first
    question = {
        "code": code_of_trials(),
        "version": edgecnn.__version__,
        "network": space.spec.name,
        "classes": space.classes,
        "px": space.base_px.stated,
        "pretrained": space.pretrained,
        "within": dict(asked.within),
        "candidates": sorted(fitting.prices.predictors),
        "table": fitting.prices.content,
    }
    name, store, tell = digest_of(question), fitting.place.store, fitting.place.tell
    with store.locks.held(KIND, name, tell):
        found = search_space(space, asked.choice.trials, store.layout.work(KIND, name) / "study.db", tell)
    fitting.searched = tuple(each for each in found if identity_of(each) != identity_of(first))
    fitting.members[first.name] = first
    fitting.axes = _axes(space, predicted_ms(first))


def _axes(space: SearchSpace, whole_ms: float) -> dict[str, float]:
    """What is left of the first network's latency with one thing changed."""
    side, half_px = space.base_px.short_px, round(LESS * space.base_px.short_px)
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

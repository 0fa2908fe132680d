"""The search from beginning to end: predict many, time some, train a few, build and race those, ship one.

Each step leaves its work in the store, so that the same call after an interruption goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import edgecnn
from edgecnn.building.objective_race import require_meter
from edgecnn.building.publish import check_output
from edgecnn.errors.data.multi_label import MultiLabelNotFitting
from edgecnn.errors.fit import NotInASearch
from edgecnn.errors.studies import NothingToScale
from edgecnn.fit.elsewhere import prices_elsewhere
from edgecnn.fit.finish import Fitted, finished
from edgecnn.fit.halving import train_along, train_best
from edgecnn.fit.members import PATIENT, MemberBuilder
from edgecnn.fit.request import FitRequest
from edgecnn.fit.search import code_of_trials, identity_of, predicted_ms, search_space
from edgecnn.fit.shortlist import along_front, shortlist
from edgecnn.fit.space import SearchSpace
from edgecnn.fit.state import Fitting, Once, Place
from edgecnn.fit.table import in_a_table, require_own_name
from edgecnn.fit.tables import Priced, priced
from edgecnn.measure.energy import open_log
from edgecnn.models.compound import RULES
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.planning.training import require_teachable
from edgecnn.store.store import Store
from edgecnn.studies.cost import network_or_family
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import Member
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.training import AS_IT_IS, Form

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
        NothingToScale: no rule scales the family.
        NotInASearch, TeacherNotFitting: what the recipe states goes with no search.
        OutputUnusable, MeterLogUnreadable, NoMeterForObjective: results or energy could not be written or read.
        TableNeedsFile: the device's name is any machine's, and a board is named.
        NoTable, TableOfAnother, TableUnreadable: nothing says what networks cost there.
        NothingPredictedInside: nothing that was looked at is predicted, or timed, inside the budgets.
        UnlikeTable: the table has no network like any that was looked at.
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
                raise MultiLabelNotFitting(asked="edgecnn fit", because=_BY_CLASS, hint="build one network of the family instead")
            if asked.choice.teacher:
                _require_teachable(resolved, asked.family)
            if "energy_mj" in asked.within and resolved.attachment.attached:
                require_meter(machine.environment, resolved.candidates, asked.meter, "--within energy_mj")
            lab = machine.lab(store, place.tell, asked.device.name)
            prices = priced(asked, in_a_table(resolved.candidates), lab, attached=resolved.attachment.attached)
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


_BY_CLASS = "members are told apart by the accuracy of one class an image"


def _require_searchable(recipe: Recipe) -> None:
    """Raises NotInASearch: the recipe states what is searched, or what is not trained."""
    for asked, because, hint in _unsearched(recipe):
        raise NotInASearch(asked=asked, because=because, hint=hint)


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
    return space, space.scaled_to(CompoundScale(depth=1.0, width=1.0, resolution=base_px.short_px))


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

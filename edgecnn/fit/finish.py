"""The end of a search: the built members raced, one chosen, what it gained, and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import edgecnn
from edgecnn.building.runnable import tried
from edgecnn.fit.choose import Chosen, choose_member, front_of, rank_correlation, ranked_of, top1_of
from edgecnn.fit.elsewhere import on_another
from edgecnn.fit.front import gain_pp, looked_twice, race_front
from edgecnn.fit.members import Course
from edgecnn.fit.search import predicted_ms
from edgecnn.fit.state import Fitting
from edgecnn.planning.request import BuildRequest
from edgecnn.values.artifact import Failed
from edgecnn.values.fit import FitReport, Member, Trial
from edgecnn.values.verdict import Interval, Verdict


@dataclass(frozen=True)
class Fitted:
    """What came of it."""

    report: FitReport
    shipped: BuildRequest | None
    """The build that ships, to be made again where results go; all of it is stored. None where nothing is inside."""


@dataclass(frozen=True)
class _Ways:
    """How the shipped member is trained, and what that is worth."""

    course: Course = Course()
    distillation_gain_pp: Interval | None = None
    against_first_pp: Interval | None = None
    distilled: bool = False
    """Whether it learned a network's answers: the first's, or where only surgery makes it another, those of what it was."""


def finished(fitting: Fitting) -> Fitted:
    """Race what was built where the device is, and choose."""
    asked = fitting.asked
    built = [each for each in fitting.members.values() if each.build is not None]
    fitting.members |= {each.name: each for each in _raced(fitting, built)}
    chosen = _chosen(fitting)
    shipped = None if chosen.name is None else fitting.members[chosen.name]
    ways = _Ways() if shipped is None else _two_ways(fitting, shipped)
    request = None if shipped is None else fitting.builder.request(shipped, ways.course, asked.out)
    return Fitted(_report(fitting, _chosen(fitting), ways), request)


def _raced(fitting: Fitting, members: Sequence[Member], *, anew: bool = False) -> list[Member]:
    """Against each other, where the device is; ``anew``: whatever is stored."""
    if not fitting.attached:
        return list(members)
    with fitting.place.lab() as lab:
        return race_front(members, fitting.asked.out, fitting.asked.recipe.race, lab, anew=anew)


def _chosen(fitting: Fitting, *instead: Member) -> Chosen:
    """``instead``: members in the place of those of their names."""
    members = {**fitting.members, **{each.name: each for each in instead}}
    return choose_member(list(members.values()), fitting.asked.within, fitting.asked.choice.accuracy_top1)


def _report(fitting: Fitting, chosen: Chosen, ways: _Ways) -> FitReport:
    asked, members = fitting.asked, list(fitting.members.values())
    built = [each for each in members if each.build is not None]
    ranked = ranked_of(each for each in members if not fitting.builder.begins_as_first(each))
    spec, classes = fitting.builder.spec, len(fitting.resolved.data.classes)
    return FitReport(
        version=edgecnn.__version__,
        family=asked.family,
        device=asked.device.name,
        attached=fitting.attached,
        machine=fitting.machine,
        within=asked.within,
        required_top1=asked.choice.accuracy_top1,
        table=fitting.prices.used,
        trials=_trials(fitting),
        axes=fitting.axes,
        members=tuple(sorted(members, key=lambda each: each.name != chosen.name)),
        front=front_of(members),
        rank_correlation=rank_correlation(ranked),
        ranked=len(ranked),
        teacher=fitting.first.name if asked.choice.teacher else None,
        distillation_gain_pp=ways.distillation_gain_pp,
        shipped_distilled=ways.distilled,
        against_first_pp=ways.against_first_pp,
        shipped=chosen.name,
        state=chosen.state,
        why=chosen.why,
        elsewhere=tuple(on_another(name, prices, built, spec, classes) for name, prices in fitting.others.items()),
        left_out=fitting.left_out,
        seconds=round(time.monotonic() - fitting.began, 1),
        command=str(asked.command),
    )


def _trials(fitting: Fitting) -> tuple[Trial, ...]:
    known = (each for each in fitting.searched if each.best_predicted is not None)
    return tuple(Trial(name=each.name, p50_ms=float(f"{predicted_ms(each):.6g}"), standin=each.standin) for each in known)


def _two_ways(fitting: Fitting, shipped: Member) -> _Ways:
    """Of the member as it was taught and as labels alone teach it, the more accurate on ``validation``; ties stay taught.

    What surgery changed of the first has no other way: it learns the answers of the network that it was.
    """
    first, builder = fitting.first, fitting.builder
    if shipped.name == first.name:
        return _Ways()
    reference = builder.folder(first, Course())
    course, gain = builder.course(shipped, reference if fitting.asked.choice.teacher else None), None
    if course.teacher is not None and fitting.out_of_time:
        fitting.place.tell.note("the time is over: nobody knows what the teacher gave")
    elif course.teacher is not None and (labels := _from_labels(fitting, shipped)) is not None:
        gain = _paired(fitting, builder.folder(shipped, course), builder.folder(shipped, Course()))
        labels, _ = _raced(fitting, [labels, shipped])
        if _better_but_unsure(labels, shipped):
            labels = looked_twice(_raced(fitting, [labels, shipped], anew=True)[0])
        if _takes_the_place(fitting, labels, shipped):
            fitting.members[shipped.name], course = labels, Course()
    distilled = course.teacher is not None or builder.begins_as_first(shipped)
    return _Ways(course, gain, _paired(fitting, builder.folder(shipped, course), reference), distilled)


def _from_labels(fitting: Fitting, shipped: Member) -> Member | None:
    """The same network trained and built from labels alone; None where it cannot be."""
    builder = fitting.builder
    fitting.place.tell.note(f"{shipped.name}: built from labels alone too, to say what the teacher gave")
    trained = tried(partial(builder.train, shipped, Course()))
    built = trained if isinstance(trained, Failed) else tried(partial(builder.build, shipped, Course()))
    if isinstance(trained, Failed) or isinstance(built, Failed):
        why = next(each.what for each in (trained, built) if isinstance(each, Failed))
        fitting.place.tell.note(f"nobody knows what the teacher gave: {why}")
        return None
    return built.model_copy(update={"trained": (*shipped.trained, trained)})


def _better_but_unsure(labels: Member, taught: Member) -> bool:
    """Whether the better of two trainings of one network is left unsure, where the other was inside: mostly by noise."""
    return top1_of(labels) > top1_of(taught) and (labels.inside, taught.inside) == (Verdict.UNSURE, Verdict.PASS)


def _takes_the_place(fitting: Fitting, labels: Member, shipped: Member) -> bool:
    """Whether labels alone made it better, and it is chosen still."""
    if fitting.asked.choice.accuracy_top1 is not None or labels.inside is not shipped.inside:
        return False
    if top1_of(labels) <= top1_of(shipped):
        return False
    return _chosen(fitting, labels).name == shipped.name


def _paired(fitting: Fitting, head: Path, base: Path) -> Interval | None:
    found = gain_pp(head, base, fitting.place.store)
    if isinstance(found, str):
        fitting.place.tell.note(f"no paired gain is known: {found}")
        return None
    return found

"""The end of a search: the built members raced, one chosen, what it gained, and the report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import edgecnn
from edgecnn.fit.choose import choose_member, front_of, rank_correlation, top1_of
from edgecnn.fit.front import gain_pp, race_front
from edgecnn.fit.members import Course
from edgecnn.fit.search import predicted_ms
from edgecnn.fit.state import Fitting
from edgecnn.planning.request import BuildRequest
from edgecnn.values.fit import FitReport, Member, Trial
from edgecnn.values.verdict import Interval, Verdict


@dataclass(frozen=True)
class Fitted:
    """What came of it."""

    report: FitReport
    shipped: BuildRequest | None
    """The build that ships, to be made again where results go; all of it is stored. None where nothing is inside."""


def finished(fitting: Fitting, began: float) -> Fitted:
    """Race what was built where the device is, and choose. ``began``: by the monotonic clock."""
    asked = fitting.asked
    if fitting.attached:
        built = [each for each in fitting.members.values() if each.build is not None]
        with fitting.place.lab() as lab:
            raced = race_front(built, asked.out, asked.recipe.race, lab)
        fitting.members |= {scale: _held(each, fitting.budget_ms) for scale, each in raced.items()}
    chosen = choose_member(list(fitting.members.values()), asked.within, asked.choice.accuracy_top1)
    shipped = None if chosen.scale is None else fitting.members[chosen.scale]
    ways = _Ways() if shipped is None else _two_ways(fitting, shipped)
    members = list(fitting.members.values())
    chosen = choose_member(members, asked.within, asked.choice.accuracy_top1)  # of what ships the accuracy may be another now
    report = FitReport(
        version=edgecnn.__version__,
        family=asked.family,
        device=asked.device.name,
        attached=fitting.attached,
        machine=fitting.machine,
        within=asked.within,
        least_top1=asked.choice.accuracy_top1,
        table=fitting.prices.used,
        trials=_trials(fitting),
        axes=fitting.axes,
        members=tuple(sorted(members, key=lambda each: each.scale != chosen.scale)),
        front=front_of(members),
        rank_correlation=rank_correlation(members, fitting.short_epochs),
        taught_by=members[0].scale if asked.choice.teacher else None,
        taught_gain_pp=ways.taught_gain_pp,
        shipped_taught=ways.course.teacher is not None,
        against_first_pp=ways.against_first_pp,
        shipped=chosen.scale,
        state=chosen.state,
        why=chosen.why,
        seconds=round(time.monotonic() - began, 1),
        command=asked.command,
    )
    return Fitted(report, None if shipped is None else fitting.builder.request(shipped, ways.course, asked.out))


def _trials(fitting: Fitting) -> tuple[Trial, ...]:
    known = (each for each in fitting.searched if each.best_predicted is not None)
    return tuple(Trial(scale=each.scale, p50_ms=round(predicted_ms(each), 4), standin=each.standin) for each in known)


def _held(member: Member, budget_ms: float) -> Member:
    """A p50 of the race of the front that is not inside takes back what the member's own build said."""
    if member.inside is not Verdict.PASS or member.p50_ms is None or member.p50_ms.high <= budget_ms:
        return member
    return member.model_copy(update={"inside": Verdict.UNSURE if member.p50_ms.low <= budget_ms else Verdict.FAIL})


@dataclass(frozen=True)
class _Ways:
    """How the shipped member is trained, and what that is worth."""

    course: Course = Course()
    taught_gain_pp: Interval | None = None
    against_first_pp: Interval | None = None


def _two_ways(fitting: Fitting, shipped: Member) -> _Ways:
    """Of the member as it was taught and as labels alone teach it, the more accurate on ``validation``; ties stay taught."""
    first, builder = next(iter(fitting.members.values())), fitting.builder
    if shipped.scale == first.scale:
        return _Ways()
    taught = Course(teacher=builder.folder(first, Course()) if fitting.asked.choice.teacher else None)
    ours, gain, course = builder.folder(shipped, taught), None, taught
    if taught.teacher is not None:
        fitting.place.tell.note(f"{shipped.scale}: built from labels alone too, to say what the teacher gave")
        labels = builder.build(shipped, Course())
        gain = _paired(fitting, ours, builder.folder(shipped, Course()))
        if labels.inside is shipped.inside and top1_of(labels) > top1_of(shipped):
            course, ours = Course(), builder.folder(shipped, Course())
            fitting.members[shipped.scale] = _held(labels, fitting.budget_ms).model_copy(update={"trained": shipped.trained})
    return _Ways(course, gain, _paired(fitting, ours, builder.folder(first, Course())))


def _paired(fitting: Fitting, head: Path, base: Path) -> Interval | None:
    found = gain_pp(head, base, fitting.place.store)
    if isinstance(found, str):
        fitting.place.tell.note(f"no paired gain is known: {found}")
        return None
    return found

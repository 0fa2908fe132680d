"""The end of a search: the built members raced, one chosen, what it gained, and the report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import edgecnn
from edgecnn.fit.choose import choose_member, front_of, rank_correlation
from edgecnn.fit.front import gain_pp, race_front
from edgecnn.fit.members import Course
from edgecnn.fit.state import Fitting, predicted_ms
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
        raced = race_front(built, asked.out, asked.recipe.race, fitting.lab)
        fitting.members |= {scale: _held(each, fitting.budget_ms) for scale, each in raced.items()}
    members = list(fitting.members.values())
    chosen = choose_member(members, asked.within, asked.least_top1)
    shipped = None if chosen.scale is None else fitting.members[chosen.scale]
    course = Course() if shipped in (None, members[0]) or not asked.teach else Course(teacher=_teacher(fitting))
    report = FitReport(
        version=edgecnn.__version__,
        family=asked.family,
        device=asked.device.name,
        attached=fitting.attached,
        machine=fitting.lab.machine,
        within=asked.within,
        least_top1=asked.least_top1,
        table=fitting.prices.used,
        trials=_trials(fitting),
        axes=fitting.axes,
        members=tuple(sorted(members, key=lambda each: each.scale != chosen.scale)),
        front=front_of(members),
        rank_correlation=rank_correlation(members, fitting.short_epochs),
        taught_by=members[0].scale if asked.teach else None,
        **({} if shipped is None else _gains(fitting, shipped, course)),
        shipped=chosen.scale,
        state=chosen.state,
        why=chosen.why,
        seconds=round(time.monotonic() - began, 1),
        command=asked.command,
    )
    return Fitted(report, None if shipped is None else fitting.builder.request(shipped, course, asked.out))


def _teacher(fitting: Fitting) -> Any:
    return fitting.builder.folder(next(iter(fitting.members.values())), Course())


def _trials(fitting: Fitting) -> tuple[Trial, ...]:
    known = (each for each in fitting.searched if each.best_predicted is not None)
    return tuple(Trial(scale=each.scale, p50_ms=round(predicted_ms(each), 4), standin=each.standin) for each in known)


def _held(member: Member, budget_ms: float) -> Member:
    """A p50 of the race of the front that is not inside takes back what the member's own build said."""
    if member.inside is not Verdict.PASS or member.p50_ms is None or member.p50_ms.high <= budget_ms:
        return member
    return member.model_copy(update={"inside": Verdict.UNSURE if member.p50_ms.low <= budget_ms else Verdict.FAIL})


def _gains(fitting: Fitting, shipped: Member, course: Course) -> dict[str, Interval | None]:
    """Against the family's first, and of what was taught against the same network built from labels alone."""
    first = next(iter(fitting.members.values()))
    if shipped.scale == first.scale:
        return {}
    builder, ours = fitting.builder, fitting.asked.out / str(shipped.build)
    said = {"against_first_pp": gain_pp(ours, fitting.asked.out / str(first.build), fitting.lab.store)}
    if course.teacher is not None:
        fitting.lab.tell.note(f"{shipped.scale}: built from labels alone too, to say what the teacher gave")
        builder.build(shipped, Course())
        said["taught_gain_pp"] = gain_pp(ours, builder.folder(shipped, Course()), fitting.lab.store)
    for why in (each for each in said.values() if isinstance(each, str)):
        fitting.lab.tell.note(f"no paired gain is known: {why}")
    return {name: each if isinstance(each, Interval) else None for name, each in said.items()}

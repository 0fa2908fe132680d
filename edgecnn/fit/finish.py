"""The end of a search: members raced, one chosen, what it gained, what they would take on other devices, and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.building.runnable import tried
from edgecnn.comparing.paired_answers import Unavailable, paired_answers
from edgecnn.errors.fit import no_table_beside
from edgecnn.fit.choose import Chosen, choose_member, front_of, inside_of, rank_correlation, ranked_of, top1_of
from edgecnn.fit.members import Course
from edgecnn.fit.predictor import fastest_first
from edgecnn.fit.request import OtherTarget
from edgecnn.fit.search import predicted_ms
from edgecnn.fit.space import probe_of
from edgecnn.fit.state import Fitting
from edgecnn.fit.tables import TablePrices, prices_in, read_table_file, table_file
from edgecnn.judging.gates import judge, runs_for
from edgecnn.judging.predictions.accuracy import difference_pp
from edgecnn.judging.runs.latency import latency
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceOptions, RaceRequest
from edgecnn.planning.request import BuildRequest
from edgecnn.results.folder import read_report
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import ALL_RUNTIMES
from edgecnn.values.fit import FitReport, Member, OnAnother, Trial
from edgecnn.values.recipe import RaceChoice
from edgecnn.values.report import CandidateFacts, Latency
from edgecnn.values.verdict import GateResult, Interval, Verdict


def race_front(members: Sequence[Member], out: Path, choice: RaceChoice, lab: Lab, *, anew: bool) -> list[Member]:
    """Built members in the order given, each with its p50 of one interleaved race of all and what that makes of its budget.

    A member whose kit does not finish has failed, and nothing chooses it. ``anew``: no stored race serves.
    """
    kits = {each.build: shipped_kit(out / each.build).kit for each in members if each.build is not None and each.candidate}
    runs = runs_for([result.gate for member in members for result in member.gates])
    request = RaceRequest.for_figures(choice, kits.values(), RaceOptions(anew=anew, runs=runs))
    raced = race(request, lab) if kits else None
    profiles, failed = ({}, {}) if raced is None else (raced.profiles, raced.failed)
    times = {build: latency(profiles[kit.entrant]) for build, kit in kits.items() if kit.entrant in profiles}
    why = {build: failed[kit.entrant] for build, kit in kits.items() if kit.entrant in failed}
    out_of_race = [each.model_copy(update=_failed(why[each.build])) if each.build in why else each for each in members]
    return [_as_raced(each, out, times[each.build]) if each.build in times else each for each in out_of_race]


def _failed(why: str) -> dict[str, Any]:
    return {"failed": f"its kit failed in the race of the front: {why}", "p50_ms": None, "fidelity": None, "inside": Verdict.FAIL}


def _as_raced(member: Member, out: Path, raced: Latency) -> Member:
    row = next(each for each in read_report(out / str(member.build)).candidates if each.chosen)
    return judged_by(member, row.model_copy(update={"latency": raced}))


def judged_by(member: Member, row: CandidateFacts) -> Member:
    """A member with this row's latency, by which its budget is judged; outside by its own build and inside by this: unsure."""
    gates = tuple(_again(each, row) if each.gate.metric == "p50_ms" else each for each in member.gates)
    times = {} if row.latency is None else {"p50_ms": row.latency.p50_ms, "fidelity": row.latency.fidelity}
    return member.model_copy(update={**times, "gates": gates, "inside": inside_of(gates)})


def _again(before: GateResult, row: CandidateFacts) -> GateResult:
    now = judge(before.gate, row)
    if (now.verdict, before.verdict) != (Verdict.PASS, Verdict.FAIL):
        return now
    return now.model_copy(update={"verdict": Verdict.UNSURE, "reason": f"{now.reason}; in its own build's race it did not"})


def looked_twice(member: Member) -> Member:
    """A member that was raced again because its first race left its latency open: its PASS had two chances, and says so."""
    twice = "; its first race left this open, so a wrong PASS is up to twice as likely"
    gates = tuple(
        each.model_copy(update={"reason": each.reason + twice})
        if (each.gate.metric, each.verdict) == ("p50_ms", Verdict.PASS)
        else each
        for each in member.gates
    )
    return member.model_copy(update={"gates": gates})


def gain_pp(head: Path, base: Path, store: Store) -> Interval | str:
    """What HEAD's shipped kit gains over BASE's in top-1 on the test images, paired, in percentage points; or why nobody knows.

    Both builds are of the same images; each was shown them at its own resolution.
    """
    try:
        found = paired_answers(shipped_kit(head), shipped_kit(base), store).of_common_images()
    except Unavailable as why:
        return str(why)
    ours, theirs = (each.logits.argmax(axis=1) == found.labels for each in (found.head, found.base))
    return difference_pp(ours, theirs, found.head.groups) or "there are no test images"


def prices_elsewhere(others: Sequence[OtherTarget]) -> dict[str, TablePrices]:
    """By device, in every candidate of its table that is asked for.

    Raises NO_TABLE_BESIDE: nobody measured one. TABLE_UNREADABLE, TABLE_TOO_SHORT: see ``prices_in``.
    """
    found = {}
    for other in others:
        path = table_file(other.device)
        if path is None:
            raise no_table_beside(device=other.device)
        table = read_table_file(path)
        runtime = "" if other.runtime in (None, ALL_RUNTIMES) else f"{other.runtime}-"
        found[other.name] = prices_in(path, table, [name for name in table.timed if name.startswith(runtime)])
    return found


def on_another(device: str, prices: TablePrices, members: Sequence[Member], spec: ArchSpec, classes: int) -> OnAnother:
    """Each built member as its fastest candidate there."""
    found = {each.name: fastest_first(prices.predictors, probe_of(each, spec, classes))[0] for each in members}
    return OnAnother(device=device, table=prices.used, predicted=found)


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

"""Finish a search: race the members, choose one, measure its gain, predict other devices, and write the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import edgecnn
from edgecnn.comparing.paired_answers import Unavailable, paired_answers
from edgecnn.errors.fit import no_table_beside
from edgecnn.fit.choose import Chosen, briefly_trained, choose_member, front_of, rank_correlation, top1_of, worst_budget_verdict
from edgecnn.fit.members import Course
from edgecnn.fit.predictor import fastest_first
from edgecnn.fit.prices import TablePrices, prices_from_table, read_table_file, table_file
from edgecnn.fit.request import OtherTarget
from edgecnn.fit.search import predicted_ms, probe_of
from edgecnn.fit.state import Fitting
from edgecnn.judging.accuracy import difference_pp
from edgecnn.judging.gates import judge, runs_for
from edgecnn.judging.latency import latency
from edgecnn.measure.lab import Lab, tried
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
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import GateResult, Interval, Verdict


def race_front(members: Sequence[Member], out: Path, choice: RaceChoice, lab: Lab, *, anew: bool) -> list[Member]:
    """Race all built members in one interleaved race, and return the members in order, with p50 and verdicts from that race.

    A member whose kit fails in the race cannot be chosen. ``anew``: ignore stored races.
    """
    kits = {
        member.build: shipped_kit(out / member.build).kit for member in members if member.build is not None and member.candidate
    }
    runs = runs_for([result.gate for member in members for result in member.gates])
    request = RaceRequest.reported(choice, kits.values(), RaceOptions(anew=anew, runs=runs))
    raced = race(request, lab) if kits else None
    profiles, failed = ({}, {}) if raced is None else (raced.profiles, raced.failed)
    judged = []
    for member in members:
        kit = kits.get(member.build or "")
        if kit is not None and kit.entrant in failed:
            why = f"its kit failed in the race of the front: {failed[kit.entrant]}"
            judged.append(member.model_copy(update={"failed": why, "p50_ms": None, "fidelity": None, "inside": Verdict.FAIL}))
        elif kit is not None and kit.entrant in profiles:
            row = next(candidate for candidate in read_report(out / str(member.build)).candidates if candidate.chosen)
            judged.append(update_latency(member, row.model_copy(update={"latency": latency(profiles[kit.entrant])})))
        else:
            judged.append(member)
    return judged


def update_latency(member: Member, row: CandidateFacts) -> Member:
    """Return a member with this latency, judged again. A latency that failed in the member's own build is UNSURE, not PASS."""
    gates = tuple(_judge_again(result, row) if result.gate.metric == "p50_ms" else result for result in member.gates)
    times = {} if row.latency is None else {"p50_ms": row.latency.p50_ms, "fidelity": row.latency.fidelity}
    return member.model_copy(update={**times, "gates": gates, "inside": worst_budget_verdict(gates)})


def _judge_again(before: GateResult, row: CandidateFacts) -> GateResult:
    result = judge(before.gate, row)
    if (result.verdict, before.verdict) != (Verdict.PASS, Verdict.FAIL):
        return result
    return result.model_copy(update={"verdict": Verdict.UNSURE, "reason": f"{result.reason}; it failed in its own build's race"})


def marked_raced_twice(member: Member) -> Member:
    """Add to the reason of a latency PASS that the member was raced twice, which doubles the risk of a wrong PASS."""
    twice = "; its first race left this open, so a wrong PASS is up to twice as likely"
    gates = tuple(
        result.model_copy(update={"reason": result.reason + twice})
        if (result.gate.metric, result.verdict) == ("p50_ms", Verdict.PASS)
        else result
        for result in member.gates
    )
    return member.model_copy(update={"gates": gates})


def gain_pp(head: Path, base: Path, store: Store) -> Interval | str:
    """Return HEAD's paired gain over BASE in top-1 on the test images, in percentage points, or why it is unknown.

    Both builds use the same images, each at its own resolution.
    """
    try:
        answers = paired_answers(shipped_kit(head), shipped_kit(base), store).common_answers()
    except Unavailable as why:
        return str(why)
    ours, theirs = (build.logits.argmax(axis=1) == answers.labels for build in (answers.head, answers.base))
    return difference_pp(ours, theirs, answers.head.groups) or "there are no test images"


def prices_of_others(others: Sequence[OtherTarget]) -> dict[str, TablePrices]:
    """Return the latency tables of other devices, by target.

    Raises NO_TABLE_BESIDE: a device has no table. TABLE_UNREADABLE, TABLE_TOO_SHORT: see ``prices_from_table``.
    """
    prices = {}
    for other in others:
        path = table_file(other.device)
        if path is None:
            raise no_table_beside(device=other.device)
        table = read_table_file(path)
        runtime = "" if other.runtime in (None, ALL_RUNTIMES) else f"{other.runtime}-"
        prices[other.name] = prices_from_table(path, table, [name for name in table.timed if name.startswith(runtime)])
    return prices


def predict_on(device: str, prices: TablePrices, members: Sequence[Member], spec: ArchSpec, classes: int) -> OnAnother:
    """Predict each built member's fastest candidate on another device."""
    predicted = {member.name: fastest_first(prices.predictors, probe_of(member, spec, classes))[0] for member in members}
    return OnAnother(device=device, table=prices.used, predicted=predicted)


@dataclass(frozen=True)
class Fitted:
    """The result of a search."""

    report: FitReport
    shipped: BuildRequest | None
    """The build that ships, to repeat in the results folder from the store. None if no member ships."""


@dataclass(frozen=True)
class _ShippedTraining:
    """How the shipped member is trained, and its gains."""

    course: Course = Course()
    distillation_gain_pp: Interval | None = None
    against_first_pp: Interval | None = None
    distilled: bool = False
    """Whether the member was distilled, from the family's first network or from itself before surgery."""


def finished(fitting: Fitting) -> Fitted:
    """Race the built members if the device is attached, and choose one."""
    request = fitting.request
    built = [member for member in fitting.members.values() if member.build is not None]
    fitting.members |= {member.name: member for member in _race(fitting, built)}
    chosen = _choose(fitting)
    shipped = None if chosen.name is None else fitting.members[chosen.name]
    training = _ShippedTraining() if shipped is None else _choose_training(fitting, shipped)
    shipped_request = None if shipped is None else fitting.builder.request(shipped, training.course, request.out)
    return Fitted(_report(fitting, _choose(fitting), training), shipped_request)


def _race(fitting: Fitting, members: Sequence[Member], *, anew: bool = False) -> list[Member]:
    """Race members against each other if the device is attached. ``anew``: ignore stored races."""
    if not fitting.attached:
        return list(members)
    with fitting.place.lab() as lab:
        return race_front(members, fitting.request.out, fitting.request.recipe.race, lab, anew=anew)


def _choose(fitting: Fitting, *replacements: Member) -> Chosen:
    """``replacements``: members that replace those of the same name."""
    members = {**fitting.members, **{member.name: member for member in replacements}}
    return choose_member(list(members.values()), fitting.request.choice.within, fitting.request.choice.accuracy_top1)


def _report(fitting: Fitting, chosen: Chosen, training: _ShippedTraining) -> FitReport:
    request, members = fitting.request, list(fitting.members.values())
    built = [member for member in members if member.build is not None]
    ranked = briefly_trained(member for member in members if not fitting.builder.starts_from_first(member))
    spec, classes = fitting.builder.spec, len(fitting.resolved.data.classes)
    return FitReport(
        version=edgecnn.__version__,
        family=request.family,
        device=request.device.name,
        attached=fitting.attached,
        machine=fitting.machine,
        within=request.within,
        stated=request.choice.within,
        required_top1=request.choice.accuracy_top1,
        table=fitting.prices.used,
        trials=tuple(
            Trial(name=member.name, p50_ms=float(f"{predicted_ms(member):.6g}"), standin=member.standin)
            for member in fitting.searched
            if member.best_predicted is not None
        ),
        axes=fitting.axes,
        members=tuple(sorted(members, key=lambda member: member.name != chosen.name)),
        front=front_of(members),
        rank_correlation=rank_correlation(ranked),
        ranked=len(ranked),
        teacher=fitting.first.name if request.choice.teacher else None,
        distillation_gain_pp=training.distillation_gain_pp,
        shipped_distilled=training.distilled,
        against_first_pp=training.against_first_pp,
        shipped=chosen.name,
        state=chosen.state,
        why=chosen.why,
        elsewhere=tuple(predict_on(name, prices, built, spec, classes) for name, prices in fitting.others.items()),
        left_out=fitting.left_out,
        seconds=round(time.monotonic() - fitting.began, 1),
        command=str(request.command),
    )


def _choose_training(fitting: Fitting, shipped: Member) -> _ShippedTraining:
    """Train the shipped member from labels too, and keep the training that is more accurate on ``validation``.

    On a tie, keep the distilled network. A network that surgery makes from the first one is always distilled from it.
    """
    first, builder = fitting.first, fitting.builder
    if shipped.name == first.name:
        return _ShippedTraining()
    reference = builder.folder(first, Course())
    course, gain = builder.course(shipped, reference if fitting.request.choice.teacher else None), None
    if course.teacher is not None and fitting.out_of_time:
        fitting.place.tell.note("time limit reached: the teacher's gain is not measured")
    elif course.teacher is not None and (labels := _trained_on_labels(fitting, shipped)) is not None:
        gain = _paired_gain(fitting, builder.folder(shipped, course), builder.folder(shipped, Course()))
        labels, _ = _race(fitting, [labels, shipped])
        is_better = top1_of(labels) > top1_of(shipped)
        if is_better and (labels.inside, shipped.inside) == (Verdict.UNSURE, Verdict.PASS):
            # mostly noise, since the network is the same
            labels = marked_raced_twice(_race(fitting, [labels, shipped], anew=True)[0])
        if _replaces_shipped(fitting, labels, shipped):
            fitting.members[shipped.name], course = labels, Course()
    distilled = course.teacher is not None or builder.starts_from_first(shipped)
    return _ShippedTraining(course, gain, _paired_gain(fitting, builder.folder(shipped, course), reference), distilled)


def _trained_on_labels(fitting: Fitting, shipped: Member) -> Member | None:
    """Return the same network, trained and built from labels alone; None if that fails."""
    builder = fitting.builder
    fitting.place.tell.note(f"{shipped.name}: building from labels alone too, to measure the teacher's gain")
    trained = tried(partial(builder.train, shipped, Course()))
    built = trained if isinstance(trained, Failed) else tried(partial(builder.build, shipped, Course()))
    if isinstance(trained, Failed) or isinstance(built, Failed):
        why = next(outcome.what for outcome in (trained, built) if isinstance(outcome, Failed))
        fitting.place.tell.note(f"the teacher's gain is unknown: {why}")
        return None
    return built.model_copy(update={"trained": (*shipped.trained, trained)})


def _replaces_shipped(fitting: Fitting, labels: Member, shipped: Member) -> bool:
    """Whether training on labels alone is more accurate, and its member is still chosen."""
    if fitting.request.choice.accuracy_top1 is not None or labels.inside is not shipped.inside:
        return False
    return top1_of(labels) > top1_of(shipped) and _choose(fitting, labels).name == shipped.name


def _paired_gain(fitting: Fitting, head: Path, base: Path) -> Interval | None:
    gain = gain_pp(head, base, fitting.place.store)
    if isinstance(gain, str):
        fitting.place.tell.note(f"the paired gain is unknown: {gain}")
        return None
    return gain

"""The screens of latency tables and of the search that reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn.errors.wording import counted
from edgecnn.judging.judgement import learned_result
from edgecnn.render.figures import MARKS, NONE, milliseconds, percent_interval, rate_interval
from edgecnn.render.sentences import dropped_lines, learned_lines, next_purpose
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import duration_text
from edgecnn.results.explain import improve_step, next_step, use_step
from edgecnn.results.folder import report_or_none
from edgecnn.values.fit import LEAST_TIMED, FitReport, LatencyTable, Member
from edgecnn.values.forecast import MARK
from edgecnn.values.verdict import IMAGES_PER_S, Fidelity, Interval


def fit_columns(report: FitReport) -> tuple[str, ...]:
    """Return the headings of ``cells_of``, with the speed in the unit of the budget."""
    unit = "images/s" if IMAGES_PER_S in report.stated else "p50 ms"
    return (
        "network", "ships", "kit", "budget", f"predicted {unit}", unit, "top-1, validation", "top-1, test", "px", "M MACs",
    )  # fmt: skip


def show_fit(report: FitReport, out: Path) -> None:
    """Print the result, the trained networks, and the next step."""
    result, *details = fit_lines(report)
    show_lines([*unlearned_fit_lines(report), result])
    show_rows(fit_columns(report), [cells_of(member, report) for member in report.members])
    if report.elsewhere:
        show_rows(elsewhere_columns(report), elsewhere_rows(report))
    show_lines(details)
    for member in report.members:
        if member.name == report.shipped:
            built = report_or_none(out)
            step = next_step(built) if built is not None and built.remedy is not None else None
            step = step or (use_step(out, member.candidate or "") if learned_result(member.gates) is None else improve_step(out))
            show_lines([f"next: {next_purpose(step, report.device)}:", f"  {step.command}"])
    show_lines([f"results: {out}", result])


def unlearned_fit_lines(report: FitReport) -> list[str]:
    """Return one line if the chosen network is not shown to have learned, else none."""
    return [line for member in report.members if member.name == report.shipped for line in learned_lines(member.gates)]


def cells_of(member: Member, report: FitReport) -> tuple[str, ...]:
    """Return the cells of one network, in the order of ``fit_columns``."""
    prediction = member.prediction
    budget = "–" if member.inside is None else member.inside.value
    if member.failed is not None:
        budget = f"failed: {member.failed}"
    return (
        member.name, "yes" if member.name == report.shipped else "no",
        member.candidate or (prediction.candidate if prediction else NONE), budget,
        f"{MARK} {_speed(prediction.p50_ms, report)}" if prediction else NONE, _time_text(member, report),
        _share_text(member.validation_top1), _share_text(member.test_top1),
        str(member.resolution_px), f"{member.macs / 1e6:.1f}",
    )  # fmt: skip


def _speed(p50_ms: Interval, report: FitReport) -> str:
    """Return a median latency in the unit of the budget."""
    return rate_interval(p50_ms) if IMAGES_PER_S in report.stated else milliseconds(p50_ms)


def _time_text(member: Member, report: FitReport) -> str:
    """Return the speed of the kit, or of the untrained network, with a mark if the device did not run it."""
    if member.p50_ms is None:
        return "–" if member.untrained_ms is None else f"{_speed(member.untrained_ms, report)} untrained"
    return _speed(member.p50_ms, report) + (MARKS[member.fidelity] if member.fidelity else "")


def elsewhere_columns(report: FitReport) -> tuple[str, ...]:
    """Return the headings of ``elsewhere_rows``, for other devices with the origin of their times."""
    words, unit = {Fidelity.EMULATED: "predicted from an emulated machine"}, fit_columns(report)[5]
    headings = (
        f"{other_device.device}, {unit} {words.get(other_device.table.fidelity, 'predicted')}"
        for other_device in report.elsewhere
    )
    return ("network", f"top-1 on validation, {report.device}", f"{report.device}, {unit}", *headings)


def elsewhere_rows(report: FitReport) -> list[tuple[str, ...]]:
    """Return a row for each built network, with its time on each device."""
    return [
        (
            member.name,
            _share_text(member.validation_top1),
            f"{member.candidate or '–'}: {_time_within_budget(member.p50_ms, report)}",
            *(
                f"{prediction.candidate}: {_time_within_budget(prediction.p50_ms, report, prediction.extrapolated)}"
                for prediction in (other_device.predicted[member.name] for other_device in report.elsewhere)
            ),
        )
        for member in report.members
        if member.build is not None
    ]


def _share_text(top1: Interval | None) -> str:
    return "–" if top1 is None else percent_interval(top1)


def _time_within_budget(p50_ms: Interval | None, report: FitReport, extrapolated: Sequence[str] = ()) -> str:
    """Return a latency, and whether it is within the budget."""
    bound = report.within.get("p50_ms")
    if extrapolated:
        return "unlike the networks in that table"
    if p50_ms is None or bound is None:
        return NONE if p50_ms is None else _speed(p50_ms, report)
    side = "within the budget" if p50_ms.high <= bound else "over the budget" if p50_ms.low > bound else "unsure"
    return f"{_speed(p50_ms, report)} {side}"


def fit_lines(report: FitReport) -> Iterator[str]:
    """Yield the result, then the source and the quality of predictions."""
    provisional = " (provisional)" if report.state == "provisional" else ""
    yield f"{report.shipped or 'no network was chosen'}: {report.why}{provisional}"
    table, words = report.table, {Fidelity.EMULATED: "emulated", Fidelity.PREDICTED: "published of"}
    word = words.get(table.fidelity, "measured")
    on = "" if table.fidelity is Fidelity.PREDICTED else "on "
    networks = f"{counted(table.networks, 'network')} {word} {on}{table.machine}"
    yield f"  {MARK} predicted from {networks}, {table.observed_at}: {table.file}"
    yield from (
        f"  {line}" for line in dropped_lines((report.gates_dropped, *(member.gates_dropped for member in report.members)))
    )
    trained = sum(bool(member.trained) for member in report.members)
    yield f"  {counted(len(report.trials), 'network')} predicted, {trained} trained"
    if report.left_out:
        yield f"  {counted(report.left_out, 'training')} skipped: the time budget was used up"
    if report.rank_correlation is not None:
        of = f"{report.ranked} short trainings: rank correlation {report.rank_correlation:+.2f}"
        yield f"  accuracy predictor, tested on {of}"
    if report.against_first_pp is not None:
        gain = _gain_text(report.against_first_pp)
        yield f"  top-1 gain over the first network of the family: {gain} (one training each, paired on the test images)"
    if report.distillation_gain_pp is not None:
        outcome = "the distilled network is chosen"
        if not report.shipped_distilled:
            outcome = "the network trained from labels alone is better on validation, so it is chosen"
        elif report.distillation_gain_pp.high < 0:
            outcome += " anyway; --no-teacher searches without distillation"
        gain = _gain_text(report.distillation_gain_pp)
        yield f"  top-1 gain from distillation: {gain} (one training with the teacher and one without, paired on the test images)"
        yield f"  {outcome}; the interval covers the choice of images, but not of training seeds"


def _gain_text(gain: Interval) -> str:
    return f"{gain.estimate:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] pp"


def table_lines(table: LatencyTable) -> Iterator[str]:
    """Yield the networks that were timed, and those that were not."""
    word = "emulated" if table.fidelity is Fidelity.EMULATED else "measured"
    yield f"{table.device}: {word} on {table.machine} in {duration_text(table.seconds)}"
    for name, rows in table.timed.items():
        marked = sum(row.disturbed is not None for row in rows)
        disturbed = f", {marked} of them disturbed by other programs" if marked else ""
        yield f"  {name}: {counted(len(rows), 'network')}{disturbed}"
    for name, why in table.failed.items():
        yield f"  not timed: {name}: {why}"
    if table.left:
        yield f"  {counted(table.left, 'network')} of the plan not timed yet: run the command again to time them"
    if (most := max(map(len, table.timed.values()), default=0)) < LEAST_TIMED:
        yield (
            f"  too few for `edgecnn fit`: at least {LEAST_TIMED} networks must be timed with one runtime and precision; "
            f"{most} were timed"
        )

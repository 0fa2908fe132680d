"""The screen after a build, and ``edgecnn explain``: the result, the table, the reasons for the choice, and open questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from edgecnn.errors.base import visible
from edgecnn.errors.wording import counted, listed
from edgecnn.judging.judgement import learned_result, weakness_of, weakness_sentence
from edgecnn.judging.metrics import SHOWN
from edgecnn.judging.reasons import worded
from edgecnn.render import figures, tables
from edgecnn.render.columns import columns_of, headings_by_rank, legend, mark_legend, metric_cell
from edgecnn.render.plots import plot_lines, stdout_signs
from edgecnn.render.sentences import (
    extent_lines,
    gate_line,
    gate_lines,
    knob_lines,
    latency_lines,
    learned_lines,
    next_purpose,
    partial_precision_lines,
    reference_lines,
    residency_lines,
    residency_text,
    result_line,
    settled_by_number,
    stated_gates_lines,
)
from edgecnn.render.terminal import VERDICT_STYLE, Grid, console, print_unbroken, print_wrapped, show_grid, show_rows
from edgecnn.render.wording import lines_by_reason
from edgecnn.results.explain import ExplainedCandidate, Explanation, StandIn, next_step
from edgecnn.values.artifact import Ran
from edgecnn.values.reason import Differs, Loses
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import CHANCE, Verdict

_BRIEF = (
    "candidate", "chosen", "verdict", "top1", "drop_pp", "map", "map_drop_pp", "agreement", "others", "p50_ms",
    "ratio_to_fp32", "size_mib",
)  # fmt: skip
"""Columns of the brief table."""
_OPTIONAL = ("ratio_to_fp32", "size_mib")
"""Columns that a narrow terminal omits."""


def show_report(report: BuildReport, *, verbose: bool = False) -> None:
    """Print the result, the table, the next step, and the result again as the last line.

    ``verbose``: also notes, error rates of the gates, and candidates that were not chosen or not tried.
    """
    screen = console()
    result, style = result_line(report), VERDICT_STYLE[report.verdict.value]
    print_wrapped(screen, result, style)
    rows = [row for row in report.candidates if verbose or row.chosen or row.kit is not None]
    show_table(rows or report.candidates, f"{report.build.arch} → {report.build.device}", screen, verbose=verbose)
    if verbose:
        _show_labels(report, screen)
        _show_details(report, screen)
    else:
        _show_brief(report, screen)
    if (step := next_step(report)) is not None:
        print_wrapped(screen, f"next: {next_purpose(step, report.build.device)}:")
        print_unbroken(screen, f"  {step.command}")
    if report.output is not None:
        print_unbroken(screen, f"results: {report.output}")
    print_wrapped(screen, result, style)


def _show_brief(report: BuildReport, screen: Console) -> None:
    """Print the gates that did not pass, warnings, and how many details there are."""
    for line in extent_lines(report.candidates):
        print_wrapped(screen, line)
    named = settled_by_number(report.gates) if report.verdict is Verdict.UNSURE else None
    for result in report.gates:
        if result.verdict is not Verdict.PASS and result.gate.stated_by != CHANCE and result is not named:
            print_wrapped(screen, gate_line(result, require_measured=report.require_measured))
    for line in (*stated_gates_lines(report.gates, report.gates_dropped), *(f"warning: {line}" for line in _warnings(report))):
        print_wrapped(screen, line)
    print_wrapped(screen, f"{counted(sum(1 for _ in _details(report)), 'more detail')}: add --verbose, or read report.md")


def _warnings(report: BuildReport) -> Iterator[str]:
    """Yield warnings for users of the bundle: a weak network, INT8 that mostly runs in float, and failed candidates."""
    shipped = report.shipped
    if shipped is not None:
        weakness = None if learned_result(report.gates) else weakness_of(shipped)
        weak = None if weakness is None else weakness_sentence(shipped.candidate.id, weakness)
        if text := "; ".join(filter(None, (weak, None if report.remedy is None else report.remedy.sentence))):
            yield text
        yield from partial_precision_lines([shipped])
    if failed := [row.candidate.id for row in report.candidates if row.broken is not None]:
        yield f"{counted(len(failed), 'candidate')} failed: {listed(failed)}; --verbose says why"


def _show_details(report: BuildReport, screen: Console) -> None:
    for line in extent_lines(report.candidates):
        print_wrapped(screen, f"  {line}")
    _show_desktop(report, screen)
    for line in _details(report):
        print_unbroken(screen, f"  {line}") if line.startswith("note: ") else print_wrapped(screen, f"  {line}")


def _details(report: BuildReport) -> Iterator[str]:
    """Yield the lines that only ``--verbose`` and the report have."""
    yield f"chosen: {report.choice.why}"
    yield from gate_lines(report.gates, require_measured=report.require_measured)
    yield from stated_gates_lines(report.gates, report.gates_dropped)
    yield from partial_precision_lines(report.candidates)
    yield from (f"knobs: {setting}" for setting in knob_lines(report.choice))
    yield from (f"measured on another day, not in this build: {line}" for line in reference_lines(report.references))
    yield from (f"note: {notice}" for notice in report.notices)
    others = [row for row in report.candidates if not row.chosen]
    rejected = [row for row in others if row.broken is not None or isinstance(row.because, (Loses, Differs))]
    reasons = {row.candidate.id: worded(row.because, row.candidate.id) for row in rejected if row.because}
    yield from (f"not chosen: {line}" for line in lines_by_reason(reasons))
    yield from (f"not tried: {line}" for line in lines_by_reason(report.skipped_rungs))


def show_candidates(report: BuildReport) -> None:
    """Print the complete table, and the figures of each label if images have several."""
    screen = console()
    for line in learned_lines(report.gates):
        print_wrapped(screen, line, VERDICT_STYLE["UNSURE"])
    show_table(report.candidates, f"{report.build.arch} → {report.build.device}", screen, verbose=True)
    _show_labels(report, screen)


def show_table(candidates: Sequence[CandidateFacts], title: str, screen: Console, *, verbose: bool) -> None:
    """Print a row for each candidate, and the meaning of the marks. ``verbose``: with every column."""
    every = columns_of(candidates)
    measured = [column for column in every if any(column.cell(facts).plain != figures.NONE for facts in candidates)]
    columns = list(every) if verbose else [column for column in measured if column.name in _BRIEF]
    rows = []
    for facts in candidates:
        style = "bold" if facts.chosen else ""
        cells = {column.name: Text(visible(column.cell(facts).plain), style=style) for column in columns}
        cells["verdict"].stylize(VERDICT_STYLE.get(facts.verdict.value, ""))
        rows.append(list(cells.values()))
    optional = () if verbose else tuple(column.heading for column in columns if column.name in _OPTIONAL)
    headings = [column.heading for column in columns]
    show_grid(Grid(headings, rows, title, important=headings_by_rank(columns), optional=optional), screen)
    for text in legend(candidates) if verbose else mark_legend(candidates, columns):
        print_wrapped(screen, f"  {text}")


def _show_labels(report: BuildReport, screen: Console) -> None:
    chosen = report.shipped
    if chosen is None or chosen.multi_label is None:
        return
    rows = [[Text(visible(cell)) for cell in row] for row in tables.label_rows(chosen.multi_label)]
    show_grid(Grid(tables.LABEL_COLUMNS, rows, f"labels of {chosen.candidate.id}"), screen)
    for name in ("micro_f1", "macro_f1"):
        print_wrapped(screen, f"  {SHOWN[name].words} {metric_cell(name, chosen).plain}")
    print_wrapped(screen, f"  {tables.label_note(chosen.multi_label)}")


def show_plot(report: BuildReport) -> None:
    """Print a small plot of a finished build: accuracy and latency with their intervals."""
    screen = console()
    for line in plot_lines(report, screen.width, stdout_signs()):
        screen.print(line, soft_wrap=True)


def show_measured(report: BuildReport) -> None:
    """Print the table, every time in words, and notes."""
    show_candidates(report)
    screen = console()
    rows = report.candidates
    for line in (*latency_lines(rows), *knob_lines(report.choice), *extent_lines(rows), *residency_lines(rows)):
        print_wrapped(screen, f"  {line}")
    _show_desktop(report, screen)
    _show_notices(report, screen)


def _show_desktop(report: BuildReport, screen: Console) -> None:
    """Print a table if a GPU ran the network in more than one way, else a sentence if it was measured at all."""
    rows = tables.desktop_rows(report.baseline)
    if not rows and report.baseline.latency.p50_ms is None:
        return
    if not rows:
        print_wrapped(screen, f"  desktop GPU: {tables.desktop_sentence(report.baseline)}")
        return
    cells = [[Text(visible(cell)) for cell in row] for row in rows]
    show_grid(Grid(tables.DESKTOP_COLUMNS, cells, f"desktop GPU: {report.baseline.device}"), screen)
    for line in tables.desktop_notes(report.baseline):
        print_wrapped(screen, f"  {line}")


def show_steps(report: BuildReport) -> None:
    """Print the outcome of each step of a verb that stops before measuring."""
    rows = []
    for name, outcome in report.outcomes.items():
        why = outcome.why if isinstance(outcome, Ran) else (getattr(outcome, "what", ""),)
        rows.append((name, outcome.outcome, f"{report.timings_s.get(name, 0.0):.1f}", "; ".join(why)))
    show_rows(("step", "outcome", "seconds", "because"), rows, title=f"{report.build.arch} → {report.build.device}")
    _show_notices(report, console())


def _show_notices(report: BuildReport, screen: Console) -> None:
    for notice in report.notices:
        print_unbroken(screen, f"  note: {notice}")  # many end with a command


_STATE = {"settled": "the choice is settled", "provisional": "the choice is PROVISIONAL", "none": ""}


def explanation_lines(explanation: Explanation, *, alone: bool = False) -> list[str]:
    """Return the lines of an explanation, with control signs unescaped. ``alone``: one candidate, without the choice."""
    lines = [] if alone else list(_choice_lines(explanation))
    for candidate in explanation.candidates:
        lines += ["", *_candidate_lines(candidate, why=alone or not candidate.facts.chosen)]
    lines += _section("Not tried", (f"{untried.name}: {untried.reason}" for untried in explanation.not_tried))
    above = None if alone else explanation.choice.settle_command
    unmeasured, questions = [], []
    for lack in explanation.unmeasured:
        whose = f" of {', '.join(lack.candidates)}" if lack.candidates else ""
        unmeasured += [f"{', '.join(lack.figures)}{whose}: {lack.why}", *_command_line("to measure", lack.command, above)]
    for question in explanation.open_questions:
        images_text = f" (this build judged {question.images_seen:,} test images)" if question.images_seen else ""
        questions += [
            f"{question.candidate}: {question.says}{images_text}",
            *_command_line("to settle", question.command, above),
        ]
    lines += _section("Not measured", unmeasured)
    lines += _section("Open questions", questions)
    lines += _section("In the bundle, but not run here", explanation.unexecuted)
    return lines[1:] if lines[:1] == [""] else lines


def _choice_lines(explanation: Explanation) -> Iterator[str]:
    build, choice = explanation.build, explanation.choice
    chosen = f"{choice.candidate} is chosen; {_STATE[choice.state]}" if choice.candidate else "nothing was chosen"
    yield from (
        line for candidate in explanation.candidates if candidate.facts.chosen for line in learned_lines(candidate.facts.gates)
    )
    yield f"{build.arch} on {build.device}: {chosen}; verdict {explanation.verdict.value}"
    yield f"  {choice.why}"
    if choice.settle_command is not None:
        yield f"  to settle it: {choice.settle_command}"


def _candidate_lines(explained: ExplainedCandidate, *, why: bool) -> Iterator[str]:
    """``why``: with the reason, which the first lines already give for the chosen candidate."""
    facts = explained.facts
    parts = [word for word, holds in (("chosen", facts.chosen), ("accuracy baseline", facts.is_baseline)) if holds]
    yield facts.candidate.id + (f" ({', '.join(parts)})" if parts else "")
    if why:
        yield f"  {facts.reason or 'no reason was recorded'}"
    if facts.candidate.surgery is not None:
        yield f"  built from a changed network: {facts.candidate.surgery.done}"
    if (accuracy := facts.answered) is not None:
        drop = f", drop {figures.points(accuracy.drop_pp)}" if accuracy.drop_pp is not None else ""
        name = "top-1" if facts.multi_label is None else "mAP"
        yield f"  {name} {figures.percent_interval(accuracy.share)} on {figures.images_of(accuracy)}{drop}"
    if facts.agreement is not None and not facts.is_baseline:
        yield f"  {figures.agreement_sentence(facts.agreement)}"
    yield from _time_lines(facts)
    if facts.residency is not None:
        yield f"  {residency_text(facts.residency)}"
    yield from (f"  emulated: {_stand_in_text(stand_in)}" for stand_in in explained.stand_ins if stand_in.figure == "accuracy")
    for gate in facts.gates:
        if gate.verdict is not Verdict.UNSURE:  # "Open questions" has them
            yield f"  {gate_line(gate)}"


def _time_lines(facts: CandidateFacts) -> Iterator[str]:
    latency = facts.latency
    if latency is None or latency.p50_ms is None:
        if (forecast := facts.forecast) is not None:
            rate = f"{figures.predicted_rate(forecast).estimate} images/s"
            p50 = f"p50 {figures.predicted(forecast)} ms ({rate})"
            yield f"  {p50}, predicted for {forecast.device} {figures.forecast_error(forecast)}"
        return
    ratio = f", {figures.times(latency.ratio_to_fp32)} as fast as fp32" if latency.ratio_to_fp32 is not None else ""
    race = f"{counted(latency.runs, 'run')} of {figures.race_name(latency)}"
    where = f"{latency.fidelity.value} on {latency.machine} in {race}{figures.disturbance(latency)}"
    rate = f" ({figures.images_per_s(latency.p50_ms.estimate)} images/s)"
    yield f"  p50 {figures.milliseconds(latency.p50_ms)} ms{rate}{ratio}, {where}"


def _stand_in_text(stand_in: StandIn) -> str:
    if stand_in.how != "twin":
        return f"the accuracy was computed on {stand_in.machine}, not on the device"
    kits = f"kit {(stand_in.answered or '')[:12]} instead of {(stand_in.ships or '')[:12]}"
    twin = f"a twin that rounds to fp16, in ONNX Runtime on {stand_in.machine} ({kits})"
    return f"the accuracy is that of {twin}; the device builds the engine itself, so no engine ran here"


def _command_line(purpose: str, command: str | None, above: str | None) -> list[str]:
    """Return the command with its purpose, unless the first lines show the same command."""
    return [] if command is None else [f"  {purpose}: {'the command above' if command == above else command}"]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    items = [f"  {line}" for line in lines]
    return ["", title, *items] if items else []

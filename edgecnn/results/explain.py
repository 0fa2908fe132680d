"""Explain a finished build from its report alone, and choose the command that the user should run next.

Nothing is measured or judged again; neither the store nor a runtime is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from edgecnn.errors.comparing import unknown_candidate
from edgecnn.errors.wording import shell_word
from edgecnn.judging.accuracy import NO_LABELS
from edgecnn.judging.findings import arithmetic_differs
from edgecnn.judging.gates import bound_option
from edgecnn.judging.judgement import learned_result, weakness_of
from edgecnn.judging.metrics import METRICS
from edgecnn.judging.reasons import worded
from edgecnn.judging.stopping import what_helps
from edgecnn.results.folder import BUNDLE
from edgecnn.results.shipped import manifests_in, why_not_here
from edgecnn.values.base import Value
from edgecnn.values.command import Command
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.reason import NotClimbed, NotMeasured, NotSupported, Reason, Taken
from edgecnn.values.report import Build, BuildReport, CandidateFacts, Choice
from edgecnn.values.verdict import CHANCE, Fidelity, GateResult, Verdict


class StandIn(Value):
    """A figure of a candidate that was not measured with its kit on the device."""

    figure: Literal["accuracy", "residency"]
    how: Literal["twin", "another-machine", "plan"]
    """``twin``: an equivalent kit ran instead. ``another-machine``: the kit ran on another machine. ``plan``: the figure is what
    the builder planned."""
    machine: str | None = None
    ships: str | None = None
    """SHA-256 of the shipped kit."""
    answered: str | None = None
    """SHA-256 of the kit that ran instead."""


class ExplainedCandidate(Value):
    """A candidate of the report."""

    facts: CandidateFacts
    """Facts of the report, including ``because``, without layers and classes, which are in report.json."""
    stand_ins: tuple[StandIn, ...] = ()


class NotTried(Value):
    """A precision or a rung without a candidate, or a candidate that could not be made here."""

    name: str
    because: Reason
    reason: str
    """Sentence of ``because``."""


class Unmeasured(Value):
    """Missing figures, and how to measure them."""

    figures: tuple[str, ...]
    candidates: tuple[str, ...]
    """Empty for the whole build."""
    why: str
    command: str | None = None


class OpenQuestion(Value):
    """An open question, and how to decide it."""

    candidate: str
    says: str
    """One sentence with the open question, its figures, and what would help."""
    images: int | None = None
    """Approximate number of new images that would decide the question."""
    images_seen: int | None = None
    rounds: int | None = None
    """Approximate number of rounds of a race that would decide the question."""
    rounds_seen: int | None = None
    device: str | None = None
    """Device to measure on."""
    command: str | None = None


class Explanation(Value):
    """``edgecnn explain BUILD --json``, schema edgecnn.explanation/2."""

    schema_: Literal["edgecnn.explanation/2"] = Field(default="edgecnn.explanation/2", alias="schema")
    version: str
    """Version of the edgecnn that made the build."""
    made_at: str
    build: Build
    choice: Choice
    verdict: Verdict
    candidates: tuple[ExplainedCandidate, ...]
    not_tried: tuple[NotTried, ...]
    unmeasured: tuple[Unmeasured, ...]
    open_questions: tuple[OpenQuestion, ...]
    unexecuted: tuple[str, ...]
    """Shipped files that were not run, and the command that runs them."""


ON_REQUEST = {
    "throughput": ("throughput by batch", "--batches 1,8,best"),
    "end_to_end": ("end-to-end latency", "--end-to-end"),
    "sustained": ("latency under sustained load", "--soak 60s"),
}
"""Figures that are measured only on request: name and option, by field of a candidate's facts."""


def explain(report: BuildReport) -> Explanation:
    """Return the reasons, the missing figures and the open questions of a report."""
    return Explanation(
        **{name: getattr(report, name) for name in ("version", "made_at", "build", "choice", "verdict", "unexecuted")},
        candidates=tuple(
            ExplainedCandidate(facts=_compact(facts), stand_ins=tuple(_stand_ins(facts))) for facts in report.candidates
        ),
        not_tried=tuple(_not_tried(report)),
        unmeasured=_grouped(_unmeasured(report)),
        open_questions=tuple(open_questions(report)),
    )


def explain_candidate(explanation: Explanation, candidate: str, folder: Path) -> Explanation:
    """Return the part of an explanation about one candidate, which may be one that was not built.

    ``candidate``: its id, such as ``openvino-fp16``, also for an unsupported precision.

    Raises UNKNOWN_CANDIDATE: the build has no candidate of that name.
    """
    known = [row.facts.candidate.id for row in explanation.candidates] + [row.name for row in explanation.not_tried]
    if candidate not in known:
        raise unknown_candidate(folder=folder, candidate=candidate, known=tuple(dict.fromkeys(known)))
    mine = [gap for gap in explanation.unmeasured if candidate in gap.candidates]
    return explanation.model_copy(
        update={
            "candidates": tuple(row for row in explanation.candidates if row.facts.candidate.id == candidate),
            "not_tried": tuple(row for row in explanation.not_tried if row.name == candidate),
            "unmeasured": tuple(gap.model_copy(update={"candidates": (candidate,)}) for gap in mine),
            "open_questions": tuple(question for question in explanation.open_questions if question.candidate == candidate),
            "unexecuted": (),
        }
    )


def _compact(facts: CandidateFacts) -> CandidateFacts:
    residency, test = facts.residency, facts.test
    return facts.model_copy(
        update={
            "residency": residency and residency.model_copy(update={"layers": ()}),
            "test": test and test.model_copy(update={"quality": None}),
        }
    )


def _stand_ins(facts: CandidateFacts) -> Iterator[StandIn]:
    answered = facts.answered or facts.agreement
    if answered is not None and answered.fidelity is Fidelity.EMULATED:
        twin = facts.evaluated_kit not in (None, facts.kit)
        yield StandIn(
            figure="accuracy",
            how="twin" if twin else "another-machine",
            machine=answered.machine,
            ships=facts.kit,
            answered=facts.evaluated_kit,
        )
    if facts.residency is not None and facts.residency.basis != "executed":
        yield StandIn(figure="residency", how="plan" if facts.residency.basis == "planned" else "another-machine")


def _not_tried(report: BuildReport) -> Iterator[NotTried]:
    for row in report.unsupported:
        yield _untried(
            f"{row.runtime.value}-{row.precision.value}",
            NotSupported(runtime=row.runtime, precision=row.precision, why=row.why),
        )
    for name, lacking in report.unavailable.items():
        yield _untried(name, NotMeasured(step="kit", outcome="unavailable", why=lacking.why, command=lacking.command))
    for name, why in report.skipped_rungs.items():
        yield _untried(name, report.out_of_time.get(name) or NotClimbed(rung=name, why=why))


def _untried(name: str, because: Reason) -> NotTried:
    return NotTried(name=name, because=because, reason=worded(because, name))


def _unmeasured(report: BuildReport) -> Iterator[Unmeasured]:
    for facts in report.candidates:
        if facts.kit is not None:
            yield from _unmeasured_figures(facts, report)
    for field, (figure, option) in ON_REQUEST.items():
        if all(getattr(facts, field) is None for facts in report.candidates):
            yield _not_requested(figure, option, report)
    desktop = report.baseline
    if desktop.latency.p50_ms is None:
        why = desktop.latency.reason or "it was not measured"
        yield Unmeasured(figures=(f"latency of the desktop GPU {desktop.device}",), candidates=(), why=why)


def _unmeasured_figures(facts: CandidateFacts, report: BuildReport) -> Iterator[Unmeasured]:
    name = facts.candidate.id
    settles = report.choice.settle_command if name in report.choice.carried else None
    if facts.agreement is not None:
        yield Unmeasured(figures=("accuracy",), candidates=(name,), why=NO_LABELS)
    elif facts.answered is None:
        why = str(getattr(facts.broken, "what", "it was not evaluated on the test split"))
        yield Unmeasured(figures=("accuracy",), candidates=(name,), why=why, command=build_again(report))
    for figure, measured in (("latency", facts.latency), ("memory", facts.memory), ("energy", facts.energy)):
        if measured is None or measured.runs < 1:
            why = (measured.reason if measured is not None else None) or "not requested"
            yield Unmeasured(figures=(figure,), candidates=(name,), why=why, command=settles)
    if facts.residency is None:
        yield Unmeasured(figures=("executed precision",), candidates=(name,), why="not traced")


def _not_requested(figure: str, option: str, report: BuildReport) -> Unmeasured:
    if not report.build.device_attached:
        return Unmeasured(figures=(figure,), candidates=(), why=f"{report.build.device} was not attached")
    if not report.environment.timed:
        return Unmeasured(figures=(figure,), candidates=(), why=NOT_TIMED)
    again = build_again(report)
    return Unmeasured(figures=(figure,), candidates=(), why="not requested", command=again and f"{again} {option}")


def _grouped(gaps: Iterable[Unmeasured]) -> tuple[Unmeasured, ...]:
    """Group missing figures by reason, with all candidates and figures that the reason applies to."""
    candidates: dict[tuple[str, str, str | None], list[str]] = {}
    for gap in gaps:
        candidates.setdefault((gap.figures[0], gap.why, gap.command), []).extend(gap.candidates)
    figures: dict[tuple[tuple[str, ...], str, str | None], list[str]] = {}
    for (figure, why, command), names in candidates.items():
        figures.setdefault((tuple(names), why, command), []).append(figure)
    return tuple(
        Unmeasured(figures=tuple(names_of_figures), candidates=names, why=why, command=command)
        for (names, why, command), names_of_figures in figures.items()
    )


def open_questions(report: BuildReport) -> Iterator[OpenQuestion]:
    """Return the open questions: a provisional choice, then the gates of each candidate, and whether the choice is faster."""
    if report.choice.state == "provisional":
        yield _choice_question(report)
    for facts in report.candidates:
        for gate in facts.gates:
            if gate.verdict is Verdict.UNSURE:
                yield gate_question(gate, facts, report)
        because = facts.because
        if (
            isinstance(because, Taken)
            and because.ratio is not None
            and because.ratio.estimate > 1
            and (because.ratio.low <= 1 or because.disturbed is not None)
        ):
            yield _speed_question(because, facts, report)


def build_again(report: BuildReport) -> str | None:
    """Return the command that repeats the build, to which an option may be added; None if no command line made the build."""
    return report.build.again or None


def bench_command(folder: Path, device: str) -> str:
    """Return the command that measures a finished build, or a bundle, on a device; the reader replaces USER@DEVICE."""
    return f"edgecnn bench {shell_word(folder)} --host {shell_word(f'USER@{device}')}"


def _choice_question(report: BuildReport) -> OpenQuestion:
    choice, device = report.choice, report.build.device if report.environment.timed else "a real device"
    command = choice.settle_command or (build_again(report) if report.build.device_attached else None)
    says = f"it is not known which candidate is the fastest on {device}; a race of the kits in the bundle there would settle it"
    if choice.regret is not None:
        more = f"{100 * choice.regret:.1f} % more than the best"
        says = f"the best candidate is not certain: {choice.candidate} is expected to cost {more}"
    elif len(choice.carried) == 1:
        says = f"its speed on {device} is unknown; a race there would measure it"
    return OpenQuestion(candidate=choice.candidate or "", says=says, device=device, command=command)


def gate_question(gate: GateResult, facts: CandidateFacts, report: BuildReport) -> OpenQuestion:
    """Return the question that an UNSURE gate of a candidate leaves open."""
    raced = facts.energy if METRICS[gate.gate.metric].source == "energy" else facts.latency
    return OpenQuestion(
        candidate=facts.candidate.id,
        says=gate.reason,
        images=gate.images_to_settle,
        images_seen=facts.answered.images if facts.answered is not None and gate.images_to_settle else None,
        rounds=gate.rounds_to_settle,
        rounds_seen=raced.runs if raced is not None and gate.rounds_to_settle else None,
        command=_device_command(gate, facts, report) or _command_with_rounds(report, gate.rounds_to_settle),
    )


def _device_command(gate: GateResult, facts: CandidateFacts, report: BuildReport) -> str | None:
    """Return the command that measures on the device, if no number of images on this machine settles the accuracy."""
    if METRICS[gate.gate.metric].source != "accuracy" or arithmetic_differs(facts) is None:
        return None
    there = None if report.output is None else bench_command(Path(report.output), report.build.device)
    return report.choice.settle_command or there


def _speed_question(because: Taken, facts: CandidateFacts, report: BuildReport) -> OpenQuestion:
    why = f"{because.disturbed}, " if because.disturbed else ""
    sentence = f"not shown to be faster than {because.against}: {why}{what_helps(because.rounds_to_settle)}"
    return OpenQuestion(
        candidate=facts.candidate.id,
        says=sentence,
        rounds=because.rounds_to_settle,
        rounds_seen=facts.latency.runs if facts.latency is not None else None,
        command=_command_with_rounds(report, because.rounds_to_settle),
    )


def _command_with_rounds(report: BuildReport, rounds: int | None) -> str | None:
    """Return the build's command with this number of rounds, and with the gates of the report."""
    again = rebuild_command(report)
    return str(again.without("--until").adding(("--set", f"race.rounds={rounds}"))) if again and rounds else None


def rebuild_command(report: BuildReport) -> Command:
    """Return the build's command with the gates of the report; an empty command if no command line made the build."""
    again = report.build.called.to("build").without("--max", "--min")
    stated = (result.gate for result in report.gates if result.gate.stated_by in ("build", "command line"))
    return again.adding(*(bound_option(*gate.stated) for gate in stated)) if again else again


Purpose = Literal["explain", "improve", "measure", "race-again", "settle", "more-images", "predict", "carry"]
IMAGE = "IMAGE.jpg"
"""Placeholder for an image of the user."""


class NextStep(NamedTuple):
    """A command and its purpose."""

    purpose: Purpose
    command: str
    """Quoted for a POSIX shell."""


def next_step(report: BuildReport) -> NextStep | None:
    """Return the command to run after this build; None for a report without a folder and without anything to settle.

    A weak network is improved first, because its other figures matter little. A failed or missing figure is explained. A
    provisional choice is measured on its device or raced again. An open gate is settled by a longer race, by the device, or by
    more test images. Any other bundle that passes is used.
    """
    choice, shipped = report.choice, report.shipped
    improved = None if report.remedy is None else report.remedy.applied_to(rebuild_command(report))
    if improved is not None:
        return NextStep("improve", str(improved))
    if report.verdict is Verdict.FAIL:
        return _explain_step(report)
    if choice.settle_command is not None:
        return NextStep("measure" if choice.regret is None else "race-again", choice.settle_command)
    if report.verdict is Verdict.UNSURE and shipped is not None and (step := _settling_step(report, shipped)) is not None:
        return step
    if learned_result(report.gates) is not None or (shipped is not None and weakness_of(shipped) is not None):
        return None if report.output is None else improve_step(Path(report.output))
    if report.verdict is Verdict.PASS and choice.candidate is not None and report.output is not None:
        return use_step(Path(report.output), choice.candidate)
    return _explain_step(report)


def improve_step(folder: Path) -> NextStep:
    """Return the step after a finished build whose network is weak."""
    return NextStep("improve", _explain_command(folder))


def use_step(folder: Path, candidate: str) -> NextStep:
    """Return the step that uses the bundle of a finished build: here, or on the device if its kit does not run here.

    A kit that is not in the folder yet is expected to run here.
    """
    bundle = folder / BUNDLE
    manifest = manifests_in(bundle).get(candidate)
    if manifest is not None and why_not_here(manifest, bundle / "kits" / candidate) is not None:
        zipped = f"{folder.resolve().name or BUNDLE}.zip"
        return NextStep("carry", str(Command(verb=("bundle", "zip"), parts=((str(folder),), ("--out", zipped)))))
    return NextStep("predict", str(Command(verb=("predict",), parts=((str(folder),), (IMAGE,)))))


def _explain_step(report: BuildReport) -> NextStep | None:
    return None if report.output is None else NextStep("explain", _explain_command(Path(report.output)))


def _explain_command(folder: Path) -> str:
    return str(Command(verb=("explain",), parts=((str(folder),),)))


def _settling_step(report: BuildReport, shipped: CandidateFacts) -> NextStep | None:
    """Return the step that settles an open gate of the chosen candidate, preferably by a known number of images or rounds.

    An open question about speed is not a gate, so a race for it settles no gate.
    """
    again = rebuild_command(report)
    open_gates = [result for result in report.gates if result.verdict is Verdict.UNSURE]
    for result in sorted(open_gates, key=lambda gate: (gate.images_to_settle or gate.rounds_to_settle) is None):
        if (command := gate_question(result, shipped, report).command) is not None:
            return NextStep("settle", command)
        takes_images = result.images_to_settle is not None and result.gate.stated_by != CHANCE
        if takes_images and again and again.value_of("--data") != "demo":
            return NextStep("more-images", str(again))
    return None

"""What a finished build could not tell, and what would settle it: every figure is out of its report."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.judging.noise import what_helps
from edgecnn.judging.reasons import worded
from edgecnn.values.explanation import OpenQuestion
from edgecnn.values.reason import NotShownFaster
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import GateResult, Verdict


def open_questions(report: BuildReport) -> Iterator[OpenQuestion]:
    """The choice first, where it is provisional; then, candidate by candidate, its gates and whether it is the faster."""
    if report.choice.state == "provisional":
        yield _of_choice(report)
    for facts in report.candidates:
        for gate in facts.gates:
            if gate.verdict is Verdict.UNSURE:
                yield _of_gate(gate, facts, report)
        if isinstance(facts.because, NotShownFaster):
            yield from _of_speed(facts.because, facts, report)


def build_again(report: BuildReport) -> str | None:
    """The command that makes the build again, to which an option may be added; None where no command line made it."""
    return report.build.command.replace("edgecnn judge", "edgecnn build", 1) or None


# ---------------------------------------------------------------------------------------------------------------------


def _of_choice(report: BuildReport) -> OpenQuestion:
    device, choice = report.build.device, report.choice
    command = choice.settle_command or (build_again(report) if report.build.device_attached else None)
    says = f"which candidate is the fastest on {device} is open: a race there of what is carried would settle it"
    if len(choice.carried) == 1:
        says = f"how fast it is on {device} is open, and it alone is carried: a race there would say"
    return OpenQuestion(candidate=choice.candidate or "", says=says, device=device, command=command)


def _of_gate(gate: GateResult, facts: CandidateFacts, report: BuildReport) -> OpenQuestion:
    return OpenQuestion(
        candidate=facts.candidate.id,
        says=gate.reason,
        images=gate.images_to_settle,
        images_seen=facts.report.images if facts.report is not None and gate.images_to_settle else None,
        rounds=gate.rounds_to_settle,
        rounds_seen=facts.latency.runs if facts.latency is not None and gate.rounds_to_settle else None,
        command=_longer(report, gate.rounds_to_settle),
    )


def _of_speed(because: NotShownFaster, facts: CandidateFacts, report: BuildReport) -> Iterator[OpenQuestion]:
    """Nothing where what was seen is no faster: more rounds would only say so more surely."""
    if because.ratio is None or because.ratio.estimate <= 1:
        return
    said, rounds = worded(because, facts.candidate.id), because.rounds_to_settle
    yield OpenQuestion(
        candidate=facts.candidate.id,
        says=said if because.smallest_ratio is not None else f"{said}: {what_helps(rounds)}",
        rounds=rounds,
        rounds_seen=because.rounds,
        command=_longer(report, rounds),
    )


def _longer(report: BuildReport, rounds: int | None) -> str | None:
    again = build_again(report)
    return f"{again} --set race.rounds={rounds}" if again and rounds else None

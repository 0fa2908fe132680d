"""``edgecnn explain``: why this candidate and not each other one, what is missing and what is open, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgecnn.render import figures
from edgecnn.render.gates import gate_line, learned_lines
from edgecnn.render.sentences import ran_in
from edgecnn.results.explanation import ExplainedCandidate, Explanation, StandIn
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Verdict

_STATE = {"settled": "which is settled", "provisional": "PROVISIONALLY", "none": ""}


def explanation_lines(explanation: Explanation, *, alone: bool = False) -> list[str]:
    """Every line, whose control signs whoever prints it takes out; ``alone``: of one candidate, without the choice."""
    lines = [] if alone else list(_choice_lines(explanation))
    for each in explanation.candidates:
        lines += ["", *_candidate_lines(each)]
    lines += _section("Not tried", (f"{each.name}: {each.reason}" for each in explanation.not_tried))
    above = None if alone else explanation.choice.settle_command
    unmeasured, asked = [], []
    for lack in explanation.unmeasured:
        whose = f" of {', '.join(lack.candidates)}" if lack.candidates else ""
        unmeasured += [f"{', '.join(lack.figures)}{whose}: {lack.why}", *_command("this measures it", lack.command, above)]
    for question in explanation.open_questions:
        seen = f" (this build judged {question.images_seen:,} test images)" if question.images_seen else ""
        asked += [f"{question.candidate}: {question.says}{seen}", *_command("measure it with", question.command, above)]
    lines += _section("Not measured", unmeasured)
    lines += _section("What would settle what is open", asked)
    lines += _section("Ships, but was not run here", explanation.unexecuted)
    return lines[1:] if lines[:1] == [""] else lines


def _choice_lines(explanation: Explanation) -> Iterator[str]:
    build, choice = explanation.build, explanation.choice
    used = f"{choice.candidate} is used, {_STATE[choice.state]}" if choice.candidate is not None else "nothing was chosen"
    yield from (line for each in explanation.candidates if each.facts.chosen for line in learned_lines(each.facts.gates))
    yield f"{build.arch} on {build.device}: {used}; verdict {explanation.verdict.value}"
    yield f"  {choice.why}"
    if choice.settle_command is not None:
        yield f"  this settles it: {choice.settle_command}"


def _candidate_lines(explained: ExplainedCandidate) -> Iterator[str]:
    facts = explained.facts
    parts = [word for word, holds in (("used", facts.chosen), ("drops are counted from it", facts.is_baseline)) if holds]
    yield facts.candidate.id + (f" ({', '.join(parts)})" if parts else "")
    yield f"  {facts.reason or 'no reason was recorded'}"
    if facts.candidate.surgery is not None:
        yield f"  it is made of a changed network: {facts.candidate.surgery.done}"
    if (seen := facts.answered) is not None:
        drop = f", drop {figures.points(seen.drop_pp)}" if seen.drop_pp is not None else ""
        name = "top-1" if facts.multi_label is None else "mAP"
        yield f"  {name} {figures.percent_interval(seen.share)} on {figures.images_of(seen)}{drop}"
    if facts.agreement is not None and not facts.is_baseline:
        yield f"  {figures.agreement_sentence(facts.agreement)}"
    yield from _time_lines(facts)
    if facts.residency is not None:
        yield f"  {ran_in(facts.residency)}"
    yield from (f"  emulated: {_stands_in(each)}" for each in explained.stand_ins if each.figure == "accuracy")
    for gate in facts.gates:
        if gate.verdict is not Verdict.UNSURE:  # those stand below, with what would settle them
            yield f"  {gate_line(gate)}"


def _time_lines(facts: CandidateFacts) -> Iterator[str]:
    seen = facts.latency
    if seen is None or seen.p50_ms is None:
        return
    ratio = f", {figures.times(seen.ratio_to_fp32)} as fast as fp32" if seen.ratio_to_fp32 is not None else ""
    where = f"{seen.fidelity.value} in {seen.runs} runs of {figures.race_of(seen)} on {seen.machine}{figures.disturbance(seen)}"
    yield f"  p50 {figures.milliseconds(seen.p50_ms)} ms{ratio}, {where}"


def _stands_in(each: StandIn) -> str:
    if each.how != "twin":
        return f"its accuracy was computed on {each.machine}, which is not the device"
    kits = f"kit {(each.answered or '')[:12]} answered for {(each.ships or '')[:12]}"
    why = "the device builds its own engine, and none was executed here"
    return f"its accuracy is that of a twin that rounds to fp16, in ONNX Runtime on {each.machine} ({kits}), because {why}"


def _command(what: str, command: str | None, above: str | None) -> list[str]:
    """A long command is said once."""
    return [] if command is None else [f"  {what}: {'the command above' if command == above else command}"]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    items = [f"  {line}" for line in lines]
    return ["", title, *items] if items else []

"""Chooses, judges and words the report from assembled facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import edgecnn
from edgecnn.building.data_notices import calibration_facts, calibration_notices, class_notices
from edgecnn.building.dated_records import dated_order, dated_records, dated_references
from edgecnn.building.desktop_gpu import desktop_baseline
from edgecnn.building.fold_notices import fold_notices, folds_would_help
from edgecnn.building.forecasts import built_forecasts
from edgecnn.building.notices import measure_command, notices, unexecuted
from edgecnn.building.objective_race import race_shown
from edgecnn.building.observed import ObservedBuild
from edgecnn.building.rows import candidate_facts, reported
from edgecnn.building.trained import (
    made_images,
    scaled_network,
    surgery_of_trunk,
    weights_published,
    weights_sentence,
    weights_sha256,
)
from edgecnn.building.weak_result import weak_notices
from edgecnn.bundle.evidence import EvidenceVerification
from edgecnn.errors.wording import shell_word
from edgecnn.judging.choice import ChoiceRules, choose, eligibility_of, speed_claims
from edgecnn.judging.gates import budget_pp, gates_for, judge_candidate, most_mib, overall, verdict_of
from edgecnn.judging.reasons import worded
from edgecnn.judging.runs.stopping import OF_A_BUILD, OF_A_FINISHED_BUILD
from edgecnn.models.weights_file import parameters_that_ship
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.synthesis import synthesis_facts
from edgecnn.stages.export import NETWORK
from edgecnn.values.candidate import is_of_a_device, reference_of
from edgecnn.values.figures import CalibrationFacts
from edgecnn.values.layers import MacTable
from edgecnn.values.profile import NOT_TIMED
from edgecnn.values.reason import NotClimbed, OutOfTime, Provisional, Reason, Taken
from edgecnn.values.recipe import GateChoice, RoleDraw
from edgecnn.values.report import Build, BuildReport, CandidateFacts, Choice
from edgecnn.values.resolved import Resolved
from edgecnn.values.verdict import Gate, GateResult


@dataclass(frozen=True)
class Decision:
    """Facts with the choice made on them."""

    facts: Mapping[str, CandidateFacts]
    choice: Choice
    inside_budget: tuple[str, ...]
    gates: tuple[Gate, ...]


def gates_of(resolved: Resolved, command_line: GateChoice | None) -> tuple[Gate, ...]:
    """The bounds of a call: the command line's, else the recipe's, else the default."""
    about = {"labelled": resolved.data.labelled, "multi_label": resolved.data.multi_label}
    usually = resolved.device.usually_attached
    return gates_for(resolved.recipe.gates, device_usually_attached=usually, command_line=command_line, **about)


def decide(seen: ObservedBuild, request: BuildRequest, evidence: Sequence[EvidenceVerification] = ()) -> Decision:
    """The rows so far, and who is ahead: asked once before each race, and once for the report.

    ``evidence``: of such devices on other days, which orders the candidates of one that is away.
    """
    resolved = seen.execution.plan.resolved
    gates = gates_of(resolved, request.gates)
    predicted = built_forecasts(seen.execution).by_candidate
    facts = {name: row.model_copy(update={"forecast": predicted.get(name)}) for name, row in candidate_facts(seen).items()}
    budget = budget_pp(gates, labelled=resolved.data.labelled)
    allowed = resolved.device.may_ship(resolved.recipe.target.runtime)
    shippable = tuple(name for name, row in facts.items() if row.candidate.runtime in allowed)
    about: dict[str, Any] = {"objective": seen.objective, "attached": seen.attached, "device": resolved.device.name}
    untimed = None if seen.timed else f"the candidates were {NOT_TIMED}"
    dated = None if seen.attached and seen.timed else dated_order(seen, evidence)
    about |= {"untimed": untimed, "dated": dated}
    rules = ChoiceRules(budget_pp=budget, most_mib=most_mib(gates), shippable=shippable, **about)
    contest = race_shown(seen)
    claims = speed_claims(seen.raced("report")) if seen.objective == "latency" else {}
    chosen = choose(tuple(facts.values()), rules, contest, claims)
    command = measure_command(request, chosen.choice, seen.kits, raced=seen.attached and seen.timed)
    knobs = seen.knobs if seen.knobs and seen.knobs.candidate == chosen.choice.candidate else None
    choice = chosen.choice.model_copy(update={"settle_command": command, "knobs": knobs})
    inside = tuple(row.candidate.id for row in eligibility_of(tuple(facts.values()), budget, shippable, rules.most_mib).inside)
    because = {**chosen.because, **_not_climbed(seen, facts, request)}
    rows = {
        name: row.model_copy(
            update={"reason": worded(because[name], name), "because": because[name], "chosen": name == choice.candidate}
        )
        for name, row in facts.items()
    }
    return Decision(facts=rows, choice=choice, inside_budget=inside, gates=gates)


def _not_climbed(seen: ObservedBuild, facts: Mapping[str, CandidateFacts], request: BuildRequest) -> dict[str, Reason]:
    """Candidates of rungs that were not tried."""
    skipped, late = seen.execution.skipped_rungs, _out_of_time(seen, request)
    return {
        candidate.id: late.get(rung.name) or NotClimbed(rung=rung.name, why=skipped[rung.name])
        for rung in seen.execution.plan.rungs
        for candidate in rung.candidates
        if rung.name in skipped and candidate.id in facts and facts[candidate.id].kit is None
    }


def _out_of_time(seen: ObservedBuild, request: BuildRequest) -> dict[str, OutOfTime]:
    """With the command that climbs on: the same, since what is finished comes from the store, and each call has its own time."""
    again = str(request.command) or None
    return {name: late.model_copy(update={"command": again}) for name, late in seen.execution.out_of_time.items()}


def last_race(decision: Decision) -> tuple[str, ...]:
    """Who runs for the reported figures: the winner, since a selection flatters it, fp32 and the best other precision."""
    winner = decision.choice.candidate
    because = None if winner is None else decision.facts[winner].because
    if winner is None or isinstance(because, Provisional):
        return ()
    reference = reference_of(row.candidate for row in decision.facts.values())
    rival = because.against if isinstance(because, Taken) else None
    return tuple(dict.fromkeys(name for name in (reference, winner, rival) if name is not None))


def report_of(seen: ObservedBuild, request: BuildRequest, seconds: float) -> BuildReport:
    """The report as it is written."""
    dated = dated_records(seen.execution.plan.resolved.device.name)
    decision = decide(seen, request, dated.evidence)
    facts = reported(decision.facts, seen)
    spelled = OF_A_FINISHED_BUILD if request.only_judge else OF_A_BUILD
    judged = {name: judge_candidate(decision.gates, row, spelled) for name, row in facts.items()}
    rows = {
        name: row.model_copy(update={"gates": judged[name], "verdict": verdict_of(row, judged[name])})
        for name, row in facts.items()
    }
    gates: tuple[GateResult, ...] = judged.get(decision.choice.candidate or "", ())
    execution, calibration = seen.execution, calibration_facts(seen)
    return BuildReport(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        build=_build(seen, request),
        environment=seen.lab.environment,
        candidates=tuple(rows.values()),
        unsupported=execution.plan.resolved.unsupported,
        skipped_rungs=execution.skipped_rungs,
        out_of_time=_out_of_time(seen, request),
        unavailable=execution.plan.resolved.unavailable,
        choice=decision.choice,
        verdict=overall(gates),
        gates=gates,
        baseline=desktop_baseline(seen, dated.desktop),
        references=dated_references(seen, dated.evidence),
        calibration=calibration,
        notices=(*_notices(seen, request, tuple(rows.values()), calibration), *dated.damaged),
        unexecuted=unexecuted(seen, decision.choice.carried),
        outcomes=execution.outcomes,
        seconds=round(seconds, 2),
        timings_s={name: round(spent, 3) for name, spent in execution.seconds.items()},
        output=str(request.out),
        keys={step.id: step.key for step in execution.plan.steps if not is_of_a_device(step.id)},
    )


def _notices(
    seen: ObservedBuild, request: BuildRequest, rows: Sequence[CandidateFacts], calibration: CalibrationFacts | None
) -> tuple[str, ...]:
    return (
        *weak_notices(seen, rows),
        *fold_notices(rows, seen.execution.plan.resolved.weights),
        *folds_would_help(seen.execution.plan.resolved, rows),
        *notices(seen, anew=f"`edgecnn bench {shell_word(request.out)} --anew` races again"),
        *calibration_notices(calibration),
        *_time_notices(seen, request),
        *class_notices(rows),
    )


def _time_notices(seen: ObservedBuild, request: BuildRequest) -> tuple[str, ...]:
    late = tuple(_out_of_time(seen, request).values())
    if not late:
        return ()
    spent = f"{late[0].spent_s:.0f} s spent of a budget of {late[0].budget_s:.0f} s"
    on = f"; this climbs on, with what is finished out of the store: {late[0].command}" if late[0].command else ""
    return (f"out of time, {spent}: {', '.join(each.rung for each in late)} not climbed, the best so far is kept{on}",)


def _build(seen: ObservedBuild, request: BuildRequest) -> Build:
    resolved = seen.execution.plan.resolved
    data = resolved.data
    return Build(
        name=request.out.name,
        arch=resolved.arch.name,
        parameters=_parameters(seen),
        scale=scaled_network(seen.execution),
        macs=_macs(seen),
        resolution_px=resolved.preprocessing.pixels.crop_px,
        photographs=resolved.preprocessing.pixels.describe(),
        weights=weights_sentence(seen.execution),
        weights_sha256=weights_sha256(seen.execution),
        weights_published=weights_published(seen.execution),
        data="the embedded demo, Fashion-MNIST" if data.origin == "demo" else data.root,
        classes=len(data.classes) if resolved.custom_model is None else resolved.custom_model.entry.classes,
        splits=data.counts,
        drawn=RoleDraw.of_recipe(resolved.recipe),
        synthesis=synthesis_facts(resolved, made_images(seen.execution)),
        device=resolved.device.name,
        device_attached=seen.attached,
        command=str(request.command),
        called=request.command,
    )


def _parameters(seen: ObservedBuild) -> int | None:
    """Of the network that ships, or of the one that learned where nothing is exported: a head of the user's classes is smaller
    than that of the catalogue's row.
    """
    exported, trained = (seen.execution.artifacts.get(kind) for kind in ("export", "train"))
    if (changed := surgery_of_trunk(seen.execution)) is not None:
        return int(changed["parameters"]["after"])
    if exported is not None and (exported.folder / NETWORK).is_file():
        return int(json.loads((exported.folder / NETWORK).read_text("utf-8"))["parameters"])
    spec = seen.execution.plan.resolved.arch
    return spec.parameters if trained is None else parameters_that_ship(spec, trained.folder / "weights.safetensors")


def _macs(seen: ObservedBuild) -> int | None:
    exported = seen.execution.artifacts.get("export")
    if exported is None:
        return None
    return MacTable.model_validate_json((exported.folder / "macs.json").read_text(encoding="utf-8")).total

"""Chooses, judges and words the report from assembled facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import edgecnn
from edgecnn.building.data_notices import calibration_facts, calibration_notices, class_notices, guess_notices
from edgecnn.building.desktop_rows import desktop_baseline
from edgecnn.building.notices import measure_command, notices, unexecuted
from edgecnn.building.objective_race import contest_of
from edgecnn.building.rows import (
    Scene,
    candidate_facts,
    made_images,
    scaled_network,
    weights_sentence,
    weights_sha256,
    with_extents,
    with_quality,
)
from edgecnn.judging.choice import ChoiceRules, choose
from edgecnn.judging.gates import budget_pp, gates_for, judge_candidate, overall, verdict_of
from edgecnn.judging.latency import latency, pairwise_ratios
from edgecnn.judging.reasons import worded
from edgecnn.judging.standing import standing_of
from edgecnn.models.counted_weights import parameters_that_ship
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.synthesis import synthesis_facts
from edgecnn.values.candidate import BASELINE_ID, is_of_a_device, reference_of
from edgecnn.values.layers import MacTable
from edgecnn.values.reason import NotClimbed, OutOfTime, Reason
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


def gates_of(resolved: Resolved, request: BuildRequest) -> tuple[Gate, ...]:
    """The bounds of this call: the command line's, else the recipe's, else the default."""
    attached = resolved.device.usually_attached
    return gates_for(
        resolved.recipe.gates,
        device_usually_attached=attached,
        command_line=request.gates,
        labelled=resolved.data.labelled,
    )


def decide(scene: Scene, request: BuildRequest) -> Decision:
    """The rows so far, and who is ahead: asked once before each race, and once for the report."""
    resolved = scene.execution.plan.resolved
    gates = gates_of(resolved, request)
    facts = candidate_facts(scene)
    budget = budget_pp(gates, labelled=resolved.data.labelled)
    shippable = tuple(name for name, row in facts.items() if resolved.recipe.target.runtime in (None, row.candidate.runtime))
    objective = resolved.recipe.choice.objective
    rules = ChoiceRules(
        objective=objective,
        budget_pp=budget,
        attached=scene.attached,
        device=resolved.device.name,
        shippable=shippable,
    )
    selected = scene.seen.raced("select")
    fp32 = selected.get(BASELINE_ID)
    machine = scene.lab.machine
    figures = {
        name: latency(profile, fp32=None if name == BASELINE_ID else fp32, machine=machine) for name, profile in selected.items()
    }
    contest = contest_of(scene.seen, objective, machine)
    chosen = choose(tuple(facts.values()), rules, pairwise_ratios(selected), figures, contest)
    command = measure_command(request, chosen.choice, scene.seen.kits)
    knobs = scene.seen.knobs if scene.seen.knobs and scene.seen.knobs.candidate == chosen.choice.candidate else None
    choice = chosen.choice.model_copy(update={"settle_command": command, "knobs": knobs})
    inside = tuple(row.candidate.id for row in standing_of(tuple(facts.values()), budget, shippable).inside)
    because = {**chosen.because, **_not_climbed(scene, facts, request)}
    rows = {
        name: row.model_copy(
            update={"reason": worded(because[name], name), "because": because[name], "chosen": name == choice.candidate}
        )
        for name, row in facts.items()
    }
    return Decision(facts=rows, choice=choice, inside_budget=inside, gates=gates)


def _not_climbed(scene: Scene, facts: Mapping[str, CandidateFacts], request: BuildRequest) -> dict[str, Reason]:
    """Candidates of rungs that were not tried."""
    skipped, late = scene.execution.skipped_rungs, _out_of_time(scene, request)
    return {
        candidate.id: late.get(rung.name) or NotClimbed(rung=rung.name, why=skipped[rung.name])
        for rung in scene.execution.plan.rungs
        for candidate in rung.candidates
        if rung.name in skipped and candidate.id in facts and facts[candidate.id].kit is None
    }


def _out_of_time(scene: Scene, request: BuildRequest) -> dict[str, OutOfTime]:
    """With the command that climbs on: the same, since what is finished comes from the store, and each call has its own time."""
    again = request.command or None
    return {name: late.model_copy(update={"command": again}) for name, late in scene.execution.out_of_time.items()}


def last_race(decision: Decision) -> tuple[str, ...]:
    """Who runs for the reported figures: the winner against fp32, since a selection flatters its winner."""
    winner = decision.choice.candidate
    reference = reference_of(row.candidate for row in decision.facts.values())
    return () if winner is None or decision.choice.state != "settled" else tuple(dict.fromkeys((reference, winner)))


def report_of(scene: Scene, request: BuildRequest, seconds: float) -> BuildReport:
    """The report as it is written."""
    decision = decide(scene, request)
    facts = with_extents(with_quality(decision.facts, scene), scene, request.extent)
    judged = {name: judge_candidate(decision.gates, row) for name, row in facts.items()}
    rows = {
        name: row.model_copy(update={"gates": judged[name], "verdict": verdict_of(row, judged[name])})
        for name, row in facts.items()
    }
    gates: tuple[GateResult, ...] = judged.get(decision.choice.candidate or "", ())
    execution, calibration = scene.execution, calibration_facts(scene)
    return BuildReport(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        build=_build(scene, request),
        environment=scene.lab.environment,
        candidates=tuple(rows.values()),
        unsupported=execution.plan.resolved.unsupported,
        skipped_rungs=execution.skipped_rungs,
        out_of_time=_out_of_time(scene, request),
        unavailable=execution.plan.resolved.unavailable,
        choice=decision.choice,
        verdict=overall(gates),
        gates=gates,
        baseline=desktop_baseline(scene),
        calibration=calibration,
        notices=(
            *guess_notices(rows.values()),
            *notices(scene),
            *calibration_notices(calibration),
            *_time_notices(scene, request),
            *class_notices(rows.values()),
        ),
        unexecuted=unexecuted(scene),
        outcomes=execution.outcomes,
        seconds=round(seconds, 2),
        timings_s={name: round(spent, 3) for name, spent in execution.seconds.items()},
        output=str(request.out),
        keys={step.id: step.key for step in execution.plan.steps if not is_of_a_device(step.id)},
    )


def _time_notices(scene: Scene, request: BuildRequest) -> tuple[str, ...]:
    late = tuple(_out_of_time(scene, request).values())
    if not late:
        return ()
    spent = f"{late[0].spent_s:.0f} s spent of a budget of {late[0].budget_s:.0f} s"
    on = f"; this climbs on, with what is finished out of the store: {late[0].command}" if late[0].command else ""
    return (f"out of time, {spent}: {', '.join(each.rung for each in late)} not climbed, the best so far is kept{on}",)


def _build(scene: Scene, request: BuildRequest) -> Build:
    resolved = scene.execution.plan.resolved
    data = resolved.data
    return Build(
        name=request.out.name,
        arch=resolved.arch.name,
        parameters=_parameters(scene),
        scale=scaled_network(scene),
        macs=_macs(scene),
        resolution_px=resolved.preprocessing.pixels.crop_px,
        weights=weights_sentence(scene),
        weights_sha256=weights_sha256(scene),
        data="the embedded demo, Fashion-MNIST" if data.origin == "demo" else data.root,
        classes=len(data.classes) if resolved.brought is None else resolved.brought.entry.classes,
        splits=data.counts,
        synthesis=synthesis_facts(resolved, made_images(scene)),
        device=resolved.device.name,
        device_attached=scene.attached,
        command=request.command,
    )


def _parameters(scene: Scene) -> int | None:
    """Of the network that ships: a head of the user's classes is smaller than that of the catalogue's row."""
    trained, spec = scene.execution.artifacts.get("train"), scene.execution.plan.resolved.arch
    return spec.parameters if trained is None else parameters_that_ship(spec, trained.folder / "weights.safetensors")


def _macs(scene: Scene) -> int | None:
    exported = scene.execution.artifacts.get("export")
    if exported is None:
        return None
    return MacTable.model_validate_json((exported.folder / "macs.json").read_text()).total

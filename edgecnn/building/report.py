"""Choose, judge and write the report from a subject and the execution of its plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import edgecnn
from edgecnn.building.choosing import Call, Decision, decide
from edgecnn.building.dated_records import dated_records, dated_references
from edgecnn.building.desktop_gpu import desktop_baseline
from edgecnn.building.execute import Execution
from edgecnn.building.forecasts import forecast_notices
from edgecnn.building.notices import (
    calibration_facts,
    calibration_notices,
    class_notices,
    fold_notices,
    folds_advice,
    measure_command,
    notices,
    unexecuted_engine_notices,
    weak_notices,
    weak_remedy,
)
from edgecnn.building.rows import add_reported_figures, candidate_facts
from edgecnn.building.trained import (
    composed_images_folder,
    scaled_network,
    surgery_of_trunk,
    weights_published,
    weights_sentence,
    weights_sha256,
)
from edgecnn.errors.wording import shell_word
from edgecnn.judging.choice import speed_claims, with_claims
from edgecnn.judging.judgement import judge_rows
from edgecnn.judging.reasons import worded
from edgecnn.measure.subject import Subject
from edgecnn.models.weights_file import parameters_that_ship
from edgecnn.planning.data_rules import synthesis_facts
from edgecnn.planning.request import BuildRequest
from edgecnn.stages.trunk import NETWORK
from edgecnn.values.candidate import is_of_a_device
from edgecnn.values.layers import MacTable
from edgecnn.values.reason import NotClimbed, OutOfTime, Reason
from edgecnn.values.recipe import RoleDraw
from edgecnn.values.report import Build, BuildReport, CandidateFacts


def report_of(execution: Execution, subject: Subject, call: Call, seconds: float, earlier: Decision | None = None) -> BuildReport:
    """Return the report of a build. ``earlier``: the choice before the last race."""
    request, effective = call
    # The same command continues: finished work is in the store, and each call has its own time budget.
    late = {
        name: rung.model_copy(update={"command": str(request.command) or None}) for name, rung in execution.out_of_time.items()
    }
    dated = dated_records(subject.resolved.device.name)
    decision, facts = decide(subject, effective, earlier, dated.evidence), candidate_facts(subject)
    chosen = with_claims(decision.chosen, facts, speed_claims(subject.raced("report")) if subject.objective == "latency" else {})
    command = measure_command(request, chosen.choice, subject.kits, raced=subject.attached and subject.timed)
    knobs = subject.knobs if subject.knobs and subject.knobs.candidate == chosen.choice.candidate else None
    choice = chosen.choice.model_copy(update={"settle_command": command, "knobs": knobs})
    because = {**chosen.because, **_reasons_not_climbed(execution, facts, late)}
    facts = {
        name: row.model_copy(
            update={"reason": worded(because[name], name), "because": because[name], "chosen": name == choice.candidate}
        )
        for name, row in add_reported_figures(facts, subject).items()
    }
    judged = judge_rows(facts.values(), effective)
    calibration = calibration_facts(execution)
    return BuildReport(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        build=_build_facts(execution, subject, request),
        environment=subject.lab.environment,
        candidates=judged.rows,
        unsupported=execution.plan.resolved.unsupported,
        skipped_rungs=execution.skipped_rungs,
        out_of_time=late,
        unavailable=execution.plan.resolved.unavailable,
        choice=choice,
        verdict=judged.verdict,
        gates=judged.gates,
        gates_dropped=effective.dropped,
        require_measured=effective.require_measured,
        baseline=desktop_baseline(subject, dated.desktop),
        references=dated_references(subject, dated.evidence),
        calibration=calibration,
        remedy=weak_remedy(subject, judged.rows),
        notices=(
            *weak_notices(subject, judged.rows),
            *fold_notices(judged.rows, subject.resolved.weights),
            *folds_advice(subject.resolved, judged.rows),
            *notices(subject, anew=f"`edgecnn bench {shell_word(request.out)} --fresh` races again", execution=execution),
            *calibration_notices(calibration),
            *forecast_notices(subject),
            *_time_notices(tuple(late.values())),
            *class_notices(judged.rows),
            *dated.damaged,
        ),
        unexecuted=unexecuted_engine_notices(subject, execution, choice.carried),
        outcomes=execution.outcomes,
        seconds=round(seconds, 2),
        timings_s={name: round(spent, 3) for name, spent in execution.seconds.items()},
        output=str(request.out),
        keys={step.id: step.key for step in execution.plan.steps if not is_of_a_device(step.id)},
    )


def _reasons_not_climbed(
    execution: Execution, facts: Mapping[str, CandidateFacts], late: Mapping[str, OutOfTime]
) -> dict[str, Reason]:
    skipped = execution.skipped_rungs
    return {
        candidate.id: late.get(rung.name) or NotClimbed(rung=rung.name, why=skipped[rung.name])
        for rung in execution.plan.rungs
        for candidate in rung.candidates
        if rung.name in skipped and candidate.id in facts and facts[candidate.id].kit is None
    }


def _time_notices(late: Sequence[OutOfTime]) -> tuple[str, ...]:
    if not late:
        return ()
    spent = f"{late[0].spent_s:.0f} s spent, the budget is {late[0].budget_s:.0f} s"
    rungs = ", ".join(rung.rung for rung in late)
    command = f"; to continue with the finished work: {late[0].command}" if late[0].command else ""
    return (f"out of time ({spent}): {rungs} not tried, and the best candidate so far is chosen{command}",)


def _build_facts(execution: Execution, subject: Subject, request: BuildRequest) -> Build:
    resolved, data, exported = subject.resolved, subject.resolved.data, execution.artifacts.get("export")
    macs = None if exported is None else MacTable.model_validate_json((exported.folder / "macs.json").read_text("utf-8")).total
    return Build(
        name=request.out.name,
        arch=resolved.arch.name,
        parameters=_parameters(execution),
        scale=scaled_network(execution),
        macs=macs,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        photographs=resolved.preprocessing.pixels.describe(),
        weights=weights_sentence(execution),
        weights_sha256=weights_sha256(execution),
        weights_published=weights_published(execution),
        data="the embedded demo, Fashion-MNIST" if data.origin == "demo" else data.root,
        classes=len(data.classes) if resolved.custom_model is None else resolved.custom_model.entry.classes,
        splits=data.counts,
        drawn=RoleDraw.of(resolved.recipe),
        synthesis=synthesis_facts(resolved, composed_images_folder(execution)),
        device=resolved.device.name,
        device_attached=subject.attached,
        command=str(request.command),
        called=request.command,
    )


def _parameters(execution: Execution) -> int | None:
    """Return the number of parameters of the exported network or, without an export, of the trained one.

    The catalogue's number does not apply, because the head depends on the number of classes.
    """
    exported, trained = (execution.artifacts.get(kind) for kind in ("export", "train"))
    if (changed := surgery_of_trunk(execution)) is not None:
        return int(changed["parameters"]["after"])
    if exported is not None and (exported.folder / NETWORK).is_file():
        return int(json.loads((exported.folder / NETWORK).read_text("utf-8"))["parameters"])
    spec = execution.plan.resolved.arch
    return spec.parameters if trained is None else parameters_that_ship(spec, trained.folder / "weights.safetensors")

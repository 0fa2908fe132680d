"""A failure on the trunk ends the build, a failure on a branch ends that candidate, and what was finished stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from edgecnn.building.build import steps_in_store
from edgecnn.building.execute import Execution, Limits, RungDrops, StageContext, execute
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.planning.candidates import BASELINE, mixed_rungs
from edgecnn.planning.plan import Plan, Step
from edgecnn.store.store import Store
from edgecnn.values.artifact import Blocked, Failed
from edgecnn.values.candidate import Rung
from edgecnn.values.stage import Progress, Role, Stage
from tests.building.resolutions import INT8, VERSIONS, resolved
from tests.building.scenes import NoHost
from tests.store.toys import Ear


class Broken(EdgecnnError):
    ref = "broken"
    exit_code = ExitCode.MISSING

    def __init__(self, name: str) -> None:
        super().__init__(what=f"{name} broke", hint="mend it")


class Toy(Stage):
    """Writes its name, or ends as it is told to."""

    revision: ClassVar[int] = 1
    name: str
    ends: str = "well"

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / "half.txt").write_text("begun")
        if self.ends == "broken":
            raise Broken(self.name)
        if self.ends == "unforeseen":
            raise RuntimeError("Check 'false' failed at a line\nof a library")
        if self.ends == "interrupted":
            raise KeyboardInterrupt
        (out / "name.txt").write_text(self.name)


class ToyPrepare(Toy):
    kind: ClassVar[str] = "prepare"


class ToyTrain(Toy):
    kind: ClassVar[str] = "train"


class ToyQuantize(Toy):
    kind: ClassVar[str] = "quantize"


class ToyPackage(Toy):
    kind: ClassVar[str] = "package"


def a_plan(*, mixed: bool = False, **ends: str) -> Plan:
    """prepare → train, then quantize → package of fp32 and of INT8, each a rung; ``ends`` says how a step ends.

    With ``mixed`` a last rung keeps two layers of INT8 in float.
    """
    steps: list[Step] = []

    def add(kind: type[Toy], step_id: str, after: Step | None = None, candidate: str | None = None) -> Step:
        inputs = {} if after is None else {"before": after.key}
        stage = kind(name=step_id, ends=ends.get(step_id.replace(":onnxruntime-", "_"), "well"), inputs=inputs)
        steps.append(Step(id=step_id, stage=stage, key=stage.key(VERSIONS), candidate=candidate))
        return steps[-1]

    trained = add(ToyTrain, "train", add(ToyPrepare, "prepare"))
    mending = mixed_rungs((INT8,))[:1] if mixed else ()
    for candidate in (BASELINE, INT8, *(each for rung in mending for each in rung.candidates)):
        quantized = add(ToyQuantize, f"quantize:{candidate.id}", trained, candidate.id)
        add(ToyPackage, f"package:{candidate.id}", quantized, candidate.id)
    rungs = (Rung(name="fp32", candidates=(BASELINE,)), Rung(name="int8", candidates=(INT8,)), *mending)
    return Plan(resolved=resolved(), steps=tuple(steps), rungs=rungs)


@pytest.fixture
def workshop(tmp_path: Path) -> StageContext:
    return StageContext(store=Store.open(tmp_path / "store"), host=NoHost(), environment={"python": "3.11"}, tell=Ear())


def words(execution: Execution) -> dict[str, str]:
    return {name: outcome.outcome for name, outcome in execution.outcomes.items()}


def stored(workshop: StageContext, plan: Plan) -> set[str]:
    folder = workshop.store.root / "artifacts"
    return {step.id for step in plan.steps if (folder / step.stage.kind / step.key).exists()}


def test_every_step_runs_once_in_order_and_is_cached_the_next_time(workshop: StageContext) -> None:
    plan = a_plan()
    first, second = execute(Execution(plan=plan), workshop), execute(Execution(plan=plan), workshop)
    assert list(first.outcomes) == [step.id for step in plan.steps]
    assert set(words(first).values()) == {"ran"}
    assert set(words(second).values()) == {"cached"}
    assert second.skipped_rungs == {}


def test_a_failing_branch_ends_its_own_candidate_and_no_other(workshop: StageContext) -> None:
    execution = execute(Execution(plan=a_plan(quantize_fp32="broken")), workshop)
    assert execution.outcomes["quantize:onnxruntime-fp32"] == Failed(
        ref="broken", what="quantize:onnxruntime-fp32 broke — mend it [broken]", hint="mend it"
    )
    assert execution.outcomes["package:onnxruntime-fp32"] == Blocked(by="quantize:onnxruntime-fp32")
    assert words(execution)["package:onnxruntime-int8"] == "ran"


def test_a_plan_says_why_at_the_first_step_that_runs_and_not_at_those_that_follow(workshop: StageContext) -> None:
    execute(Execution(plan=a_plan()), workshop)
    missing = {step.id: step.missing for step in steps_in_store(a_plan(train="unforeseen"), workshop.store)}
    assert missing["prepare"] is None and missing["train"] == ("train.ends: well → unforeseen",)
    assert {missing[name] for name in list(missing)[2:]} == {()}


@pytest.mark.parametrize("step", ["quantize_int8", "package_int8"])
def test_an_exception_that_nobody_foresaw_ends_its_own_candidate_too(
    workshop: StageContext, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="edgecnn"):
        execution = execute(Execution(plan=a_plan(**{step: "unforeseen"})), workshop)
    name = step.replace("_", ":onnxruntime-")
    assert execution.outcomes[name] == Failed(
        ref="unknown-failure",
        what="stopped at an unexpected error (RuntimeError): Check 'false' failed at a line of a library — "
        "rerun the command with --debug for the traceback [unknown-failure]",
        hint="rerun the command with --debug for the traceback",
    )
    assert words(execution)["package:onnxruntime-fp32"] == "ran"
    assert any(record.exc_info and record.exc_info[0] is RuntimeError for record in caplog.records), "what --debug shows"


def test_a_failing_branch_is_told_while_the_build_goes_on(workshop: StageContext) -> None:
    execute(Execution(plan=a_plan(package_int8="broken")), workshop)
    assert isinstance(workshop.tell, Ear)
    assert "package:onnxruntime-int8 failed: package:onnxruntime-int8 broke — mend it [broken]" in workshop.tell.notes


def test_a_failed_step_leaves_nothing_in_the_store_and_is_tried_again(workshop: StageContext) -> None:
    plan = a_plan(quantize_int8="broken")
    execute(Execution(plan=plan), workshop)
    assert stored(workshop, plan) == {"prepare", "train", "quantize:onnxruntime-fp32", "package:onnxruntime-fp32"}
    assert words(execute(Execution(plan=plan), workshop))["quantize:onnxruntime-int8"] == "failed"


def test_a_failing_trunk_ends_the_build_and_keeps_what_was_finished(workshop: StageContext) -> None:
    plan = a_plan(train="broken")
    with pytest.raises(Broken):
        execute(Execution(plan=plan), workshop)
    assert stored(workshop, plan) == {"prepare"}


@pytest.mark.parametrize("step", ["train", "quantize_fp32"], ids=["trunk", "branch"])
def test_ctrl_c_ends_the_build_and_leaves_the_store_whole(workshop: StageContext, step: str) -> None:
    plan = a_plan(**{step: "interrupted"})
    with pytest.raises(KeyboardInterrupt):
        execute(Execution(plan=plan), workshop)
    finished = {"train": {"prepare"}, "quantize_fp32": {"prepare", "train"}}[step]
    assert stored(workshop, plan) == finished
    assert {name for name, word in words(execute(Execution(plan=a_plan()), workshop)).items() if word == "cached"} == finished


def test_a_rung_that_was_not_climbed_is_recorded_with_why(workshop: StageContext) -> None:
    execution = execute(Execution(plan=a_plan()), workshop, limits=Limits(seconds=0.0))
    assert execution.skipped_rungs == {"int8": "out of time, 0 s spent of a budget of 0 s"}
    assert execution.out_of_time["int8"].budget_s == 0.0
    assert "package:onnxruntime-fp32" in execution.outcomes
    assert not any(name.endswith("int8") for name in execution.outcomes)


def test_a_build_with_more_time_goes_on_where_the_one_before_stopped(workshop: StageContext) -> None:
    execute(Execution(plan=a_plan()), workshop, limits=Limits(seconds=0.0))
    after = execute(Execution(plan=a_plan()), workshop, limits=Limits(seconds=3600.0))
    assert (after.skipped_rungs, after.out_of_time) == ({}, {})
    outcomes = words(after)
    assert {outcomes[name] for name in outcomes if name.endswith("int8")} == {"ran"}
    assert {outcomes[name] for name in outcomes if not name.endswith("int8")} == {"cached"}


def test_what_was_seen_of_a_rung_decides_on_the_next(workshop: StageContext) -> None:
    plan = a_plan(mixed=True)
    mixed = plan.rungs[-1].name
    looked = []

    def look(rung: Rung) -> RungDrops:
        looked.append((rung.name, [f"package:{each.id}" in execution.artifacts for each in rung.candidates]))
        return RungDrops({each.id: 3.0 for each in rung.candidates if each.id == INT8.id})

    execution = Execution(plan=plan)
    execute(execution, workshop, drops_of=look)
    assert looked == [("fp32", [True]), ("int8", [True]), (mixed, [True])]
    assert [candidate.id for candidate in execution.candidates] == [BASELINE.id, INT8.id, mixed]
    assert execution.skipped_rungs == {}


def test_a_network_that_learned_nothing_gets_no_mixed_candidates(workshop: StageContext) -> None:
    plan = a_plan(mixed=True)
    shown = RungDrops({INT8.id: 3.0}, at_chance=True)
    execution = execute(Execution(plan=plan), workshop, drops_of=lambda rung: shown)
    assert list(execution.skipped_rungs) == [plan.rungs[-1].name]
    assert [candidate.id for candidate in execution.candidates] == [BASELINE.id, INT8.id]


def test_a_rung_that_is_not_needed_is_no_part_of_the_build(workshop: StageContext) -> None:
    plan = a_plan(mixed=True)
    execution = execute(
        Execution(plan=plan), workshop, drops_of=lambda rung: RungDrops({each.id: 0.5 for each in rung.candidates})
    )
    mixed = plan.rungs[-1].name
    why = "onnxruntime-int8 loses 0.50 pp on validation, within the budget of 1 pp: no layer stays in float"
    assert execution.skipped_rungs == {mixed: why}
    assert execution.candidates == plan.resolved.candidates
    assert not any(name.endswith(mixed) for name in execution.outcomes)


def test_a_build_that_stops_before_evaluating_mends_nothing(workshop: StageContext) -> None:
    plan = a_plan(mixed=True)
    execution = execute(Execution(plan=plan), workshop, "package")
    assert set(execution.skipped_rungs) == {plan.rungs[-1].name}


@pytest.mark.parametrize(
    ("goal", "kinds"),
    [("train", {"prepare", "train"}), ("quantize", {"prepare", "train", "quantize"})],
)
def test_an_earlier_goal_runs_no_later_kind(workshop: StageContext, goal: str, kinds: set[str]) -> None:
    execution = execute(Execution(plan=a_plan()), workshop, goal)  # type: ignore[arg-type]
    assert {name.partition(":")[0] for name in execution.outcomes} == kinds


def test_a_step_that_ran_is_timed(workshop: StageContext) -> None:
    execution = execute(Execution(plan=a_plan()), workshop)
    assert execution.seconds.keys() == execution.artifacts.keys() == execution.outcomes.keys()

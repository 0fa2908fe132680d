"""Engines that are built where they run: what binds their bytes is asked first and in their keys, and a failure costs one kit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from edgecnn.building.engines import resolve_builder
from edgecnn.building.execute import Execution, StageContext, execute
from edgecnn.building.measuring import add_execution_results
from edgecnn.devices.files import device_named
from edgecnn.devices.machine import Machine
from edgecnn.devices.this_machine import local_facts
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import (
    BOARD_LACKS_BUILDER,
    BUILDER_UNFIT,
    LINK_LOST,
    RunnerFailed,
    link_lost,
)
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Task
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import Plan, Step, plan
from edgecnn.runtimes.tensorrt import BACKEND
from edgecnn.stages.engine import EngineStage
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import Candidate, Rung
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress, Role, Stage
from tests.building.bundles import publish_bundle
from tests.building.resolutions import TRT_FP16, VERSIONS, resolved
from tests.building.scenes import ELSEWHERE, NoHost, a_choice, a_kit, a_report, an_artifact
from tests.measure.labs import FakeHost, lab_at
from tests.runner.pythons import environment_with
from tests.store.toys import Ear

ORIN = EngineBuilder(package="tensorrt", version="10.3.0", capability="8.7", driver="# R36 (release), REVISION: 4.3")
BOTH = (BASELINE, TRT_FP16)


class Jetson(NoHost):
    """A machine with a builder, whose task ends as it is told to."""

    def __init__(self, builder: EngineBuilder = ORIN, ends: Exception | None = None) -> None:
        self.builder, self.ends = builder, ends
        self.asked: list[Task] = []

    def engine_builder(self, package: str) -> EngineBuilder:
        assert package == "tensorrt"
        return self.builder

    def run(self, task: Task, *, lease_s: float, tell: object) -> Any:
        self.asked.append(task)
        assert self.ends is not None
        raise self.ends


def a_machine(host: Any, board: str | None = "nano") -> Machine:
    return Machine(host, local_facts(), Environment(conditions={}, observed={}), board)


def weak_candidates() -> tuple[Candidate, ...]:
    supported = BACKEND.supports(device_named("jetson-xavier-nx"))
    return tuple(each for each in supported if isinstance(each, Candidate))


def test_the_device_is_asked_only_where_it_is_at_hand_and_an_engine_is_needed() -> None:
    assert resolve_builder(resolved(candidates=BOTH), a_machine(Jetson()), Ear()).device_builder == ORIN
    for each in (resolved(), resolved(candidates=BOTH, attachment=ELSEWHERE)):
        assert resolve_builder(each, a_machine(NoHost()), Ear()).device_builder is None, "nobody was asked"


def test_a_board_without_tensorrt_is_told_so_before_anything_is_made() -> None:
    try:
        LocalHost().engine_builder("tensorrt")
    except RunnerFailed as error:
        missing = error
    else:
        pytest.skip("tensorrt itself is installed here")
    with pytest.raises(EdgecnnError, check=BOARD_LACKS_BUILDER.made) as caught:
        resolve_builder(resolved(candidates=BOTH), a_machine(LocalHost()), Ear())
    assert caught.value.exit_code is ExitCode.MISSING
    assert caught.value.ref == "board-lacks-builder"
    heard = Ear()
    assert resolve_builder(resolved(candidates=BOTH), a_machine(LocalHost(), None), heard).device_builder is None
    assert heard.notes == [f"engines cannot be built here: {missing.line()}"], "this machine goes on with twins"


def python_with(folder: Path, tensorrt: str) -> str:
    """A Python in which importing TensorRT does this."""
    python = environment_with(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "tensorrt.py").write_text(tensorrt)
    return str(python)


@pytest.mark.parametrize(
    ("tensorrt", "said"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended without a result (signal SIGSEGV)"),
        ("import time; time.sleep(60)", "was silent for 2 s and was killed"),
    ],
    ids=["segfault", "hang"],
)
def test_a_tensorrt_that_takes_its_process_with_it_or_hangs_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorrt: str, said: str
) -> None:
    monkeypatch.setattr("edgecnn.hosts.local._INFO_S", 2.0)
    host, heard = LocalHost(python=python_with(tmp_path / "python", tensorrt)), Ear()
    assert resolve_builder(resolved(candidates=BOTH), a_machine(host, None), heard).device_builder is None
    (note,) = heard.notes
    assert note.startswith(f"engines cannot be built here: runner info {said}"), "this machine goes on with twins"
    whole = rf"^on nano, TensorRT does not respond: runner info {re.escape(said)}.* — pass the Python that has TensorRT "
    with pytest.raises(EdgecnnError, match=whole, check=BOARD_LACKS_BUILDER.made) as caught:
        resolve_builder(resolved(candidates=BOTH), a_machine(host), Ear())
    assert caught.value.exit_code is ExitCode.MISSING


def test_another_jetpack_than_the_kits_were_made_for_is_named() -> None:
    with pytest.raises(EdgecnnError, check=BUILDER_UNFIT.made) as caught:
        resolve_builder(resolved(candidates=BOTH), a_machine(Jetson(ORIN.model_copy(update={"version": "8.6.2.3"}))), Ear())
    assert caught.value.ref == "builder-unfit"


def test_jetpack_5_builds_the_weakly_typed_kits_and_no_newer_one_does() -> None:
    asked = resolved(candidates=(BASELINE, *weak_candidates()))
    xavier = ORIN.model_copy(update={"version": "8.5.2.2", "capability": "7.2"})
    planned = plan(resolve_builder(asked, a_machine(Jetson(xavier)), Ear()))
    assert planned.step("engine:tensorrt8-int8-unverified") is not None
    with pytest.raises(EdgecnnError, match=r"kits need tensorrt>=8\.5,<8\.6", check=BUILDER_UNFIT.made):
        resolve_builder(asked, a_machine(Jetson()), Ear())


@pytest.mark.parametrize("change", [{"version": "10.3.1"}, {"capability": "8.9"}, {"gpus": ("NVIDIA RTX",)}, {"driver": None}])
def test_whatever_binds_an_engine_to_its_machine_is_in_its_key_and_in_no_other(change: dict[str, Any]) -> None:
    here, other = (plan(resolved(candidates=BOTH, device_builder=each)) for each in (ORIN, ORIN.model_copy(update=change)))
    differ = {step.id for step, theirs in zip(here.steps, other.steps, strict=True) if step.key != theirs.key}
    assert differ == {"engine:tensorrt-fp16"}
    without = {step.id: step.key for step in plan(resolved(candidates=BOTH)).steps}
    assert {step.id: step.key for step in here.steps if step.id not in differ} == without


# ---------------------------------------------------------------------------------------------------------------------


class ToyPackage(Stage):
    kind: ClassVar[str] = "package"
    revision: ClassVar[int] = 1

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / "kit.json").write_text("{}")


def executed(host: Jetson, folder: Path) -> Execution:
    """A packaged kit, and its engine."""
    package, versions = ToyPackage(), VERSIONS
    engine = EngineStage(inputs={"kit": package.key(versions)}, builder=ORIN)
    steps = tuple(
        Step(id=f"{name}:{TRT_FP16.id}", stage=stage, key=stage.key(versions), candidate=TRT_FP16.id)
        for name, stage in (("package", package), ("engine", engine))
    )
    rungs = (Rung(name="half", candidates=(TRT_FP16,)),)
    shop = StageContext(store=Store.open(folder / "store"), host=NoHost(), environment={}, tell=Ear(), device=host)
    return execute(Execution(plan=Plan(resolved=resolved(candidates=BOTH), steps=steps, rungs=rungs)), shop)


def test_a_builder_that_fails_costs_that_candidate_alone(tmp_path: Path) -> None:
    died = RunnerFailed(ref="builder-died", what="tensorrt ended by signal 11", because=None, hint=None)
    host = Jetson(ends=died)
    found = executed(host, tmp_path)
    (task,) = host.asked
    assert (task.command, task.words, task.outputs) == (
        "build-engine",
        ("--once", "--package", "tensorrt"),
        {"--timing-cache": "timing.cache"},
    )
    assert found.outcomes["engine:tensorrt-fp16"] == Failed(ref=died.ref, what=died.line(), hint=None)


def test_a_board_that_went_away_while_it_built_ends_the_call(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=LINK_LOST.made):
        executed(Jetson(ends=link_lost(board="nano", doing="build-engine")), tmp_path)


# ---------------------------------------------------------------------------------------------------------------------


def executed_kits(folder: Path, **changes: Any) -> tuple[Execution, Subject]:
    """Of a TensorRT kit that was packaged, with its twin."""
    kit = a_kit(folder / "packaged", TRT_FP16)
    execution = Execution(plan=plan(resolved(candidates=BOTH, **changes)))
    for name in ("package", "package-twin"):
        made = an_artifact(name, folder / name, {"kit.json": whole_manifest(kit.folder, twin=name == "package-twin")})
        execution.artifacts[f"{name}:{TRT_FP16.id}"] = made
    return execution, Subject.from_build(execution.plan.resolved, lab_at(FakeHost(), Store.open(folder / "store")))


def whole_manifest(kit: Path, *, twin: bool) -> str:
    manifest = json.loads((kit / "kit.json").read_text())
    module = "onnxruntime_cpu" if twin else "tensorrt_gpu"
    stands_for = {"kit": "k"} if twin else None
    candidate = TRT_FP16.model_dump(mode="json")
    return json.dumps({**manifest, "session": {"module": module}, "stands_for": stands_for, "candidate": candidate})


def test_where_the_engine_was_built_it_answers_and_runs_itself_and_ships_without_it(tmp_path: Path) -> None:
    execution, seen = executed_kits(tmp_path)
    add_execution_results(seen, execution, (TRT_FP16,))
    assert seen.answering[TRT_FP16.id].runtime == "onnxruntime", "its twin, where there is no engine"
    packaged = execution.artifacts[f"package:{TRT_FP16.id}"].folder
    built = an_artifact("compile", tmp_path / "built")
    shutil.copytree(packaged, built.folder / "kit")
    shutil.copyfile(tmp_path / "packaged/model.onnx", built.folder / "kit/model.onnx")
    (built.folder / "kit/build").mkdir()
    (built.folder / "kit/build/engine.plan").write_bytes(b"of this GPU alone")
    execution.artifacts[f"engine:{TRT_FP16.id}"] = built
    add_execution_results(seen, execution, (TRT_FP16,))
    kit = seen.answering[TRT_FP16.id]
    assert (kit.runtime, kit.stands_for, kit.folder) == ("tensorrt", None, built.folder / "kit")
    assert kit == seen.kits[TRT_FP16.id]
    publish_bundle(a_report(choice=a_choice(TRT_FP16.id)), seen.kits, tmp_path)
    shipped = tmp_path / "bundle/kits" / TRT_FP16.id
    assert sorted(path.name for path in shipped.iterdir()) == ["kit.json", "model.onnx"]


def test_a_kit_whose_engine_could_not_be_built_is_out_and_no_stand_in_takes_its_place(tmp_path: Path) -> None:
    execution, seen = executed_kits(tmp_path)
    failed = Failed(ref="builder-died", what="tensorrt ended by signal 11")
    execution.outcomes[f"engine:{TRT_FP16.id}"] = failed
    add_execution_results(seen, execution, (TRT_FP16,))
    assert seen.failures == {TRT_FP16.id: failed}

"""Before a build ends, each kit of the bundle passes its own self-test; one that does not is never published."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from edgecnn.building import build
from edgecnn.building.build import BuildContext, run_planned_build
from edgecnn.building.execute import Execution
from edgecnn.devices.machine import this_machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import EVERY_CANDIDATE_FAILED
from edgecnn.errors.hosts import runner_cannot_write
from edgecnn.errors.store import STORE_FULL, STORE_UNUSABLE, TEMPORARY_FOLDER_FULL
from edgecnn.hosts.local import LocalHost
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import kits_that_fail, tried
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest, Goal
from edgecnn.store.store import Store
from edgecnn.values.artifact import Cached, Failed
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import TargetChoice
from edgecnn.values.report import BuildReport
from tests.building.bundles import make_bundle
from tests.building.resolutions import INT8, resolved
from tests.building.scenes import a_choice, a_kit, a_report, a_request
from tests.judging.made import facts
from tests.runner.kits import rewrite_manifest
from tests.store.toys import Ear


def changed(bundle: Path, name: str) -> Path:
    """A copy of the bundle whose kit no longer gives its golden answers."""
    copy = shutil.copytree(bundle, bundle.with_name(name))
    rewrite_manifest(copy / "kits/onnxruntime-fp32", lambda manifest: manifest["model"]["input"].update(name="picture"))
    return copy


def test_a_kit_that_fails_its_self_test_is_named_and_one_that_passed_is_not_tested_again_under_the_same_conditions(
    tmp_path: Path,
) -> None:
    ear = Ear()
    lab = this_machine().lab(Store.open(tmp_path / "store"), ear)
    bundle = make_bundle(tmp_path / "bundle")
    kits = {"onnxruntime-fp32": KitRef.at(bundle / "kits/onnxruntime-fp32")}
    broken = changed(bundle, "broken")
    broken_kits = {"onnxruntime-fp32": KitRef.at(broken / "kits/onnxruntime-fp32")}
    assert kits_that_fail(broken, broken_kits, lab, is_new=True)["onnxruntime-fp32"].ref == "wrong-feed"
    ear.notes.clear()
    tested = ["self-test of onnxruntime-fp32 in the bundle"]
    for is_new, notes in ((True, tested), (False, []), (True, tested)):
        assert kits_that_fail(bundle, kits, lab, is_new=is_new) == {}
        assert ear.notes == notes, f"is_new {is_new}"
        ear.notes.clear()
    conditions = {**lab.environment.conditions, "python": "3.99.0"}
    later = Environment(conditions=conditions, observed={})
    object.__setattr__(lab, "environment", later)
    assert kits_that_fail(bundle, kits, lab, is_new=False) == {} and ear.notes == tested, "another Python"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_ends_the_build_and_says_nothing_of_a_candidate(number: int) -> None:
    def work() -> None:
        raise OSError(number, "the disk")

    with pytest.raises(OSError, match="the disk"):
        tried(work)


@pytest.mark.parametrize(
    "error",
    [
        STORE_FULL(root=Path("store"), free_bytes=0, doing="making it"),
        STORE_UNUSABLE(root=Path("store"), because="read-only"),
        TEMPORARY_FOLDER_FULL(folder=Path("tmp"), free_bytes=0, doing="making it"),
        runner_cannot_write(argv=["selftest"], board=None),
    ],
    ids=lambda error: error.ref,
)
def test_so_does_a_store_without_room(error: EdgecnnError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)):
        tried(work)
    bundle, lab = make_bundle(tmp_path / "bundle"), this_machine().lab(Store.open(tmp_path / "store"), Ear())
    monkeypatch.setattr(LocalHost, "run", lambda *_, **__: work())
    with pytest.raises(type(error)):
        kits_that_fail(bundle, {"onnxruntime-fp32": KitRef.at(bundle / "kits/onnxruntime-fp32")}, lab, is_new=True)


def test_a_kit_that_this_machine_cannot_test_is_not_among_those_that_fail(tmp_path: Path) -> None:
    lab = this_machine().lab(Store.open(tmp_path / "store"), Ear())
    bundle = make_bundle(tmp_path / "bundle")
    kit = bundle / "kits/onnxruntime-fp32"
    rewrite_manifest(kit, lambda manifest: manifest["requirements"].update(packages={"no-such-runtime": ">=1"}))
    assert kits_that_fail(bundle, {kit.name: KitRef.at(kit)}, lab, is_new=True) == {}
    rewrite_manifest(kit, lambda manifest: manifest["requirements"].update(packages={}))
    rewrite_manifest(kit, lambda manifest: manifest["model"]["input"].update(name="picture"))
    assert set(kits_that_fail(bundle, {kit.name: KitRef.at(kit)}, lab, is_new=True)) == {kit.name}
    engine = {"builder": "tensorrt", "onnx": "model.onnx", "min_version": "10.3"}
    rewrite_manifest(kit, lambda manifest: manifest.update(engine=engine))
    assert kits_that_fail(bundle, {kit.name: KitRef.at(kit)}, lab, is_new=True) == {}, "its engine is built on the device"


def test_another_error_of_the_system_ends_one_candidate() -> None:
    def work() -> None:
        raise FileNotFoundError(errno.ENOENT, "no such file", "model.xml")

    failed = tried(work)
    assert isinstance(failed, Failed) and failed.ref == "unknown-failure"


def a_measured_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: set[str]
) -> tuple[BuildRequest, BuildReport | EdgecnnError]:
    """A build of two candidates that was executed and measured; these kits fail in the finished bundle."""
    planned, request = plan(resolved()), a_request(tmp_path / "out")

    def executed(execution: Execution, *_: object) -> Execution:
        return execution

    def report(_: object, seen: Subject, *__: object) -> BuildReport:
        left = [name for name in ("onnxruntime-int8", "onnxruntime-fp32") if name not in seen.failures]
        rows = [facts(name, outcomes={"measure": failed}, reason=failed.what) for name, failed in seen.failures.items()]
        choice = a_choice(left[0]) if left else a_report().choice
        return a_report(choice=choice, candidates=tuple(rows))

    def in_bundle(bundle: Path, kits: dict[str, KitRef], lab: object, *, is_new: bool) -> dict[str, Failed]:
        chosen = (bundle / "chosen").read_text()
        assert list(kits) == [chosen], "every carried kit is tested, and no other"
        return {name: Failed(ref="golden-logits-differ", what="no") for name in refused & {chosen}}

    monkeypatch.setattr(build, "execute", executed)
    kits = {each.id: a_kit(tmp_path / "made" / each.id, each) for each in (BASELINE, INT8)}
    monkeypatch.setattr(build, "measure_and_choose", lambda _, observer, *__: observer.subject.kits.update(kits))
    monkeypatch.setattr(build, "_race_winner", lambda *_: None)
    monkeypatch.setattr(build, "report_of", report)
    monkeypatch.setattr(build, "local_record", lambda seen: None)
    monkeypatch.setattr(build, "kits_that_fail", in_bundle)
    pages = {"bundle/chosen": lambda report: str(report.choice.candidate)}
    machine = this_machine()
    context = BuildContext(Store.open(tmp_path / "store"), Ear(), pages)
    try:
        return request, run_planned_build(planned, machine, request, context)
    except EdgecnnError as error:
        assert EVERY_CANDIDATE_FAILED.made(error)
        return request, error


def test_the_choice_is_made_again_without_a_kit_that_fails_in_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request, report = a_measured_build(tmp_path, monkeypatch, {"onnxruntime-int8"})
    assert isinstance(report, BuildReport) and report.choice.candidate == "onnxruntime-fp32"
    assert (request.out / "bundle/chosen").read_text() == "onnxruntime-fp32"


def test_a_build_whose_every_kit_fails_in_the_bundle_publishes_nothing_and_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, error = a_measured_build(tmp_path, monkeypatch, {"onnxruntime-int8", "onnxruntime-fp32"})
    assert EVERY_CANDIDATE_FAILED.made(error) and error.exit_code == 3
    assert error.because == "onnxruntime-int8: no; onnxruntime-fp32 failed too"
    assert sorted(path.name for path in request.out.iterdir() if not path.name.startswith(".")) == ["plan.json"]


@pytest.mark.parametrize("goal", ["quantize", "package", "compile", "profile", "judge"])
def test_nothing_is_measured_once_every_candidate_of_the_target_has_failed(
    goal: Goal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    litert = Candidate(id="litert-fp32", runtime=Runtime.LITERT, precision=Precision.FP32)
    recipe = resolved().asked.model_copy(update={"target": TargetChoice(device="cpu", runtime="litert")})
    planned = plan(resolved(recipe, candidates=(BASELINE, litert)))

    def executed(execution: Execution, *_: object) -> None:
        execution.outcomes["quantize:onnxruntime-fp32"] = Cached()
        execution.outcomes["quantize:litert-fp32"] = Failed(ref="layer-not-converted", what="no form of Det")

    monkeypatch.setattr(build, "execute", executed)
    monkeypatch.setattr(build, "measure_and_choose", lambda *_: pytest.fail("the reference was measured for nothing"))
    context = BuildContext(Store.open(tmp_path / "store"), Ear())
    with pytest.raises(EdgecnnError, check=EVERY_CANDIDATE_FAILED.made) as raised:
        run_planned_build(planned, this_machine(), a_request(tmp_path / "out", goal=goal), context)
    assert raised.value.because == "litert-fp32: no kit was made: quantize failed: no form of Det"
    assert raised.value.hint == "pass --target cpu to build for the other runtimes of the device"

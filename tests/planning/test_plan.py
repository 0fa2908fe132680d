from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.devices.files import device_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import Plan, plan
from edgecnn.results.finished import read_plan
from edgecnn.values.candidate import Runtime
from edgecnn.values.recipe import Recipe
from tests.building.resolutions import DATA, INT8, TRT_FP16, VERSIONS, resolved, summary

MIXED = tuple(f"onnxruntime-int8-mixed-{kept}" for kept in (2, 4, 8, 16))
OF_INT8 = {
    f"rank:{MIXED[0]}",
    *(f"{kind}:{name}" for kind in ("quantize", "package") for name in ("onnxruntime-int8", *MIXED)),
}


def keys(planned: Plan) -> dict[str, str]:
    return {step.id: step.key for step in planned.steps}


def changed(before: Plan, after: Plan) -> set[str]:
    ours, theirs = keys(before), keys(after)
    return {name for name in ours if ours[name] != theirs[name]}


def recipe(**tables: dict[str, object]) -> Recipe:
    base = {
        "model": {"arch": "mobilenet-v3-small", "resolution_px": 64},
        "train": {"epochs": 2, "learning_rate": 0.01},
        "quantize": {"images": 200},
    }
    return Recipe.model_validate({name: {**base.get(name, {}), **tables.get(name, {})} for name in {**base, **tables}})


def test_planning_twice_gives_the_same_keys() -> None:
    assert keys(plan(resolved())) == keys(plan(resolved()))


def test_every_step_comes_after_what_it_reads() -> None:
    seen = {DATA}
    for step in plan(resolved(candidates=(BASELINE, INT8, TRT_FP16), builder="tensorrt_rtx_bindings")).steps:
        assert set(step.stage.inputs.values()) <= seen, step.id
        seen.add(step.key)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"train": {"epochs": 3}}, {"train", "export", "rank:", "quantize:", "package:"}),
        ({"quantize": {"images": 100}}, OF_INT8),
        ({"race": {"rounds": 12}}, set()),
        ({"gates": {"max": {"drop_pp": 2.0}}}, set()),
    ],
    ids=["epochs", "calibration images", "rounds", "gates"],
)
def test_one_field_changes_the_keys_of_what_depends_on_it_and_no_others(
    table: dict[str, dict[str, object]], expected: set[str]
) -> None:
    touched = changed(plan(resolved()), plan(resolved(recipe(**table))))
    assert all(any(name == e or (e.endswith(":") and name.startswith(e)) for e in expected) for name in touched)
    assert all(any(name.startswith(e) for name in touched) for e in expected)


def test_the_device_is_in_no_key() -> None:
    elsewhere = resolved(device=device_named("raspberry-pi-5"))
    assert keys(plan(resolved())) == keys(plan(elsewhere))


def test_where_the_data_lies_is_in_no_key() -> None:
    moved = resolved(sources={DATA: Path("/elsewhere/manifest.json")})
    assert keys(plan(resolved())) == keys(plan(moved))


def test_another_version_of_a_quantizer_changes_only_what_it_makes() -> None:
    newer = resolved(versions={**VERSIONS, "nncf": "2.0"})
    assert changed(plan(resolved()), plan(newer)) == set()
    newer = resolved(versions={**VERSIONS, "torch": "2.0"})
    assert "prepare" not in changed(plan(resolved()), plan(newer))
    assert {"train", "export"} <= changed(plan(resolved()), plan(newer))


def test_another_runner_makes_other_kits_and_the_same_models() -> None:
    touched = changed(plan(resolved()), plan(resolved(runner_sha256="b" * 64)))
    assert touched == {"package:onnxruntime-fp32", *(name for name in OF_INT8 if name.startswith("package:"))}


def test_an_engine_candidate_has_a_twin_and_is_compiled_only_where_a_builder_is_installed() -> None:
    without = keys(plan(resolved(candidates=(BASELINE, TRT_FP16))))
    assert "package-twin:tensorrt-fp16" in without
    assert "compile:tensorrt-fp16" not in without
    assert "compile:tensorrt-fp16" in keys(plan(resolved(candidates=(BASELINE, TRT_FP16), builder="tensorrt_rtx_bindings")))


def test_the_keys_of_every_rung_are_known_before_any_is_climbed() -> None:
    planned = plan(resolved())
    assert [rung.name for rung in planned.rungs] == ["fp32", "int8", *MIXED]
    for rung in planned.rungs:
        for candidate in rung.candidates:
            assert {step.stage.kind for step in planned.branch_of(candidate.id)} - {"rank"} == {"quantize", "package"}


def test_rungs_that_keep_layers_in_float_read_one_ranking_and_differ_by_how_many() -> None:
    planned = plan(resolved())
    ranking = planned.step(f"rank:{MIXED[0]}")
    assert ranking is not None
    stages = [step.stage for step in planned.steps if step.id in {f"quantize:{name}" for name in MIXED}]
    assert {stage.inputs["ranking"] for stage in stages} == {ranking.key}
    assert [getattr(stage, "kept_float", None) for stage in stages] == [2, 4, 8, 16]
    assert len({step.key for step in planned.steps if step.stage.kind == "quantize"}) == 2 + len(MIXED)


def test_two_runtimes_that_may_need_mending_share_one_ranking() -> None:
    openvino = INT8.model_copy(update={"id": "openvino-int8", "runtime": Runtime.OPENVINO})
    planned = plan(resolved(candidates=(BASELINE, INT8, openvino)))
    assert len({step.key for step in planned.steps if step.stage.kind == "rank"}) == 1


def test_candidates_that_keep_nothing_have_the_keys_that_they_always_had() -> None:
    payload = next(step for step in plan(resolved()).steps if step.id == "quantize:onnxruntime-int8").stage.payload(VERSIONS)
    assert payload["settings"].keys() == {"candidate", "images", "normalization"}
    assert payload["settings"]["candidate"].keys() == {
        "id", "runtime", "precision", "method", "scheme", "session_options", "needs_engine",
    }  # fmt: skip


def test_a_plan_names_the_steps_of_its_folds_and_the_folder_s_reader_gives_them_back(tmp_path: Path) -> None:
    images = [summary().model_copy(update={"content": digest, "counts": {**summary().counts, "test": 9000}}) for digest in "bc"]
    laid = plan(resolved(folds=tuple(images)))
    assert [fold.resolved.data.content for fold in laid.folds] == ["b", "c"]
    assert {keys(fold)["package:onnxruntime-fp32"] for fold in laid.folds}.isdisjoint(keys(laid).values())
    (tmp_path / "plan.json").write_text(json.dumps(laid.facts()))
    kept = read_plan(tmp_path, {}, "again")
    assert [{name: step.key for name, step in fold.items()} for fold in kept.folds] == [keys(fold) for fold in laid.folds]
    assert {step.kind for step in kept.folds[0].values()} >= {"prepare", "package"}


def test_a_plan_without_folds_is_what_it_was_and_an_older_one_with_them_is_read_without_their_keys(tmp_path: Path) -> None:
    assert "folds" not in plan(resolved()).facts()
    facts = plan(resolved(folds=(summary(),))).facts()
    (tmp_path / "plan.json").write_text(json.dumps({name: fact for name, fact in facts.items() if name != "folds"}))
    assert read_plan(tmp_path, {}, "edgecnn build demo").folds == ()

"""What changed between two builds, in the lines that follow a regression."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from edgecnn.data.manifest import store_manifest
from edgecnn.results.origin import changes, origin_of, planned_data
from edgecnn.values.dataset import DataChange, DataManifest, DataSummary, ImageEntry, SplitRole

MANIFEST: dict[str, Any] = {
    "candidate": {"id": "onnxruntime-int8", "scheme": {"activation_dtype": "uint8"}},
    "model": {"files": ["model.onnx"]},
    "preprocessing": {"pixels": {"crop_px": 64}},
    "requirements": {"packages": {"onnxruntime": ">=1.26"}},
    "files": {"model.onnx": {"sha256": "a" * 64}, "runner/runs/worker.py": {"sha256": "b" * 64}},
}
PLAN: dict[str, Any] = {
    "resolved": {
        "recipe": {
            "schema": "edgecnn.recipe/2",
            "train": {"epochs": 3},
            "gates": {"max": {}},
            "data": {"path": "/a", "seed": 0},
            "model": {"weights": "/a/w", "arch": "resnet-18"},
            "race": {"rounds": 8},
        },
        "weights": {"sha256": "c" * 64, "kind": "cached"},
        "data": {"content": "d" * 64},
        "runner_sha256": "e" * 64,
        "device": {"name": "cpu", "processor": {"isa": ["avx2"], "source": "x"}, "memory": {"mib": 4096}},
        "versions": {"onnxruntime": "1.30.0", "torch": "2.15.0"},
    },
    "steps": [{"payload": {"kind": "train", "revision": 1}}],
}


def changed(change: Callable[[dict[str, Any], dict[str, Any]], object], *, plans: bool = True) -> tuple[str, ...]:
    manifest, plan = copy.deepcopy(MANIFEST), copy.deepcopy(PLAN)
    change(manifest, plan)
    found = changes(origin_of(MANIFEST, PLAN if plans else None), origin_of(manifest, plan if plans else None))
    return tuple(map(str, found))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda m, p: p["resolved"]["recipe"]["train"].update(epochs=10), "recipe train.epochs: 3 → 10"),
        (lambda m, p: p["resolved"]["weights"].update(sha256="f" * 64), "weights: cccccccccccc → ffffffffffff"),
        (lambda m, p: p["resolved"]["weights"].update(sha256=None, kind="none"), "weights: cccccccccccc → none"),
        (lambda m, p: p["resolved"]["data"].update(content="f" * 64), "images: dddddddddddd → ffffffffffff"),
        (lambda m, p: p["resolved"]["versions"].update(onnxruntime="1.31.1"), "onnxruntime: 1.30.0 → 1.31.1"),
        (lambda m, p: p["resolved"]["versions"].pop("torch"), "torch: 2.15.0 → absent"),
        (lambda m, p: p["resolved"].update(runner_sha256="f" * 64), "runner: eeeeeeeeeeee → ffffffffffff"),
        (lambda m, p: p["resolved"]["device"].update(name="intel-cpu"), "device name: cpu → intel-cpu"),
        (
            lambda m, p: p["resolved"]["device"]["processor"].update(isa=["avx2", "avx512f"]),
            'device processor.isa: ["avx2"] → ["avx2", "avx512f"]',
        ),
        (lambda m, p: p["steps"][0]["payload"].update(revision=2), "stage train revision: 1 → 2"),
        (lambda m, p: m["candidate"].update(id="openvino-int8"), "candidate id: onnxruntime-int8 → openvino-int8"),
    ],
)
def test_one_field_that_differs_is_one_line(change: Callable[[dict[str, Any], dict[str, Any]], object], line: str) -> None:
    assert changed(change) == (line,)


@pytest.mark.parametrize(
    "change",
    [
        lambda m, p: p["resolved"]["recipe"]["gates"]["max"].update(drop_pp=1),
        lambda m, p: p["resolved"]["recipe"]["data"].update(path="/b"),
        lambda m, p: p["resolved"]["recipe"]["model"].update(weights="/b/w"),
        lambda m, p: p["resolved"]["recipe"]["race"].update(rounds=16),
        lambda m, p: p["resolved"]["device"]["memory"].update(mib=8192),
        lambda m, p: p["resolved"]["device"]["processor"].update(source="y"),
    ],
)
def test_where_things_lie_and_what_only_judges_is_no_change(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    assert changed(change) == ()


def _own_file(content: str, path: str) -> dict[str, Any]:
    recipe = {"model": {"arch": "efficientnet-b0", "onnx": path, "resolution_px": 64}, "train": {"epochs": None}}
    return {"mode": "custom", "recipe": recipe, "custom_model": {"content": content}, "weights": {"kind": "onnx"}}


def test_a_custom_model_is_named_by_its_content_and_not_by_defaults_that_nothing_was_made_from() -> None:
    lines = changed(lambda m, p: p["resolved"].update(_own_file("f" * 64, "/a/own.onnx")))
    assert set(lines) >= {
        "recipe model.arch: resnet-18 → absent",
        "model file: absent → ffffffffffff",
        "weights: cccccccccccc → onnx",
    }
    assert not [line for line in lines if "efficientnet-b0" in line or "own.onnx" in line or "unset" in line]
    plans = [{**PLAN, "resolved": {**PLAN["resolved"], **_own_file(*each)}} for each in (("f" * 64, "/a"), ("9" * 64, "/b"))]
    (between,) = changes(*(origin_of(MANIFEST, plan) for plan in plans))
    assert (str(between), between.kind) == ("model file: ffffffffffff → 999999999999", "kit")


def test_settings_of_a_training_that_was_none_are_no_change() -> None:
    kept = {**PLAN, "resolved": {**PLAN["resolved"], "mode": "kept"}}
    other = copy.deepcopy(kept)
    other["resolved"]["recipe"]["train"]["epochs"] = 10
    assert changes(origin_of(MANIFEST, kept), origin_of(MANIFEST, other)) == ()


def test_bytes_that_differ_with_nothing_that_explains_it_are_named() -> None:
    (line,) = changed(lambda m, p: m["files"]["model.onnx"].update(sha256="f" * 64))
    assert line.startswith("model: ")


def test_bytes_that_differ_for_a_named_reason_are_not_named_too() -> None:
    def both(manifest: dict[str, Any], plan: dict[str, Any]) -> None:
        manifest["files"]["model.onnx"]["sha256"] = "f" * 64
        plan["resolved"]["recipe"]["train"]["epochs"] = 10

    assert changed(both) == ("recipe train.epochs: 3 → 10",)


def test_without_plans_the_kits_tell_what_they_can() -> None:
    assert changed(lambda m, p: m["requirements"]["packages"].update(onnxruntime=">=1.30"), plans=False) == (
        "needs onnxruntime: >=1.26 → >=1.30",
    )
    assert changed(lambda m, p: m["preprocessing"]["pixels"].update(crop_px=96), plans=False) == (
        "preprocessing pixels.crop_px: 64 → 96",
    )


def test_a_plan_of_another_version_takes_lines_away_and_fails_nothing() -> None:
    odd = origin_of({"candidate": 3, "files": [1], "model": None}, {"resolved": [], "steps": [7, {"payload": None}]})
    assert changes(odd, origin_of(MANIFEST, PLAN))


def images(folder: Path, **roles: Mapping[str, Iterable[int]]) -> DataSummary:
    """``train={"hat": range(3)}``: the images of each class, by numbers that are also their content."""
    rows = [
        ImageEntry(
            path=f"{role}/{name}/{number}.png",
            label=("hat", "shoes").index(name),
            role=cast("SplitRole", role),
            sha256=f"{number}",
        )
        for role, numbers in roles.items()
        for name, drawn in numbers.items()
        for number in drawn
    ]
    return store_manifest(DataManifest(origin="folder", root="/photos", classes=("hat", "shoes"), images=tuple(rows)), "", folder)


BEFORE = {"train": {"hat": range(10)}, "validation": {"shoes": range(20, 24)}, "test": {"shoes": range(30, 34)}}


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (
            {"train": {"hat": range(12)}, "validation": {"shoes": range(20, 23)}},
            "+1 image (hat +2, shoes -1); train 10 → 12; validation 4 → 3; test unchanged",
        ),
        (
            {"train": {"hat": range(9), "shoes": [9]}},
            "other images or labels, 18 as before (hat -1, shoes +1); train 10 as before, other images or labels; "
            "validation unchanged; test unchanged",
        ),
        (
            {"train": {"hat": reversed(range(10))}},
            "the same images and labels, under other paths, in another order or grouped differently",
        ),
    ],
)
def test_changed_images_are_counted_by_class_and_role(tmp_path: Path, now: Any, sentence: str) -> None:
    summaries = images(tmp_path, **BEFORE), images(tmp_path, **{**BEFORE, **now})
    plans = []
    for data in summaries:
        plan = copy.deepcopy(PLAN)
        plan["resolved"]["data"] = data.model_dump(mode="json")
        plans.append(plan)
    (change,) = changes(*(origin_of(MANIFEST, plan) for plan in plans))
    assert (change.kind, change.name, str(change)) == ("data", "images", f"images: {sentence}")


def test_an_origin_names_no_file_and_no_folder_of_the_data(tmp_path: Path) -> None:
    """A pin and a baseline hold it, and are committed."""
    plan = copy.deepcopy(PLAN)
    data = images(tmp_path, **BEFORE).model_copy(
        update={"skipped": ("hat/private.png: damaged",), "splits_from": "/photos/train"}
    )
    plan["resolved"]["data"] = data.model_dump(mode="json")
    text = origin_of(MANIFEST, plan).model_dump_json()
    assert not [name for name in ("/photos", str(tmp_path), "private.png") if name in text]


def test_a_plan_of_an_older_version_counts_roles_alone(tmp_path: Path) -> None:
    old = images(tmp_path, **BEFORE).model_copy(update={"roles": {}})
    change = DataChange.between(old.totals, images(tmp_path, **{**BEFORE, "train": {"hat": range(12)}}).totals)
    assert change is not None
    assert (change.classes, change.unchanged) == ({}, None)
    assert change.sentence == "+2 images; train 10 → 12; validation 4 as before; test 4 as before"


def test_a_renamed_class_is_named_and_a_damaged_plan_says_nothing_of_its_images(tmp_path: Path) -> None:
    before = images(tmp_path, **BEFORE).totals
    renamed = DataChange.between(before, before.model_copy(update={"content": "f" * 64, "classes": ("cap", "shoes")}))
    assert renamed is not None and (renamed.renamed, renamed.classes) == ({"hat": "cap"}, {})
    plan = copy.deepcopy(PLAN)
    plan["resolved"]["data"] = {**before.model_dump(mode="json"), "roles": {"train": {"content": "f" * 64, "by_class": [1, 2]}}}
    assert planned_data(plan) is None

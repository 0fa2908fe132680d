"""Photographs without classes: a custom network is built and held against fp32, and no word of it is an accuracy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import LABELS_NEEDED, PREPROCESSING_UNPROVED
from edgecnn.errors.data import LIST_WITHOUT_LABELS
from edgecnn.judging.accuracy import NO_LABELS
from edgecnn.planning.custom_model import check_custom
from edgecnn.planning.request import BuildRequest
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.recipe import DataChoice, Recipe
from tests.building.builds import Place
from tests.graph.custom_files import classifier, photo_folder

LIKE = ("--set", "preprocessing.like=bytes")
FAST = ("--target", "cpu:onnxruntime", "--set", "race.samples=100", "--set", "race.rounds=8", *LIKE)
OUT = "builds/mine-cpu"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("unlabelled"))
    photo_folder(place.photos, per_class=40)
    (place.folder / "flat").mkdir()
    for photo in place.photos.rglob("*.png"):
        shutil.copyfile(photo, place.folder / "flat" / photo.name)
    model = classifier("bytes", layout="NHWC", dtype="uint8", opset=23)
    # ONNX Runtime wants the shape of a Reshape inside the file; onnx counts the 33 bytes of Python around its 16, too.
    onnx.save(model, place.folder / "mine.onnx", save_as_external_data=True, location="mine.bin", size_threshold=60)
    return place


@pytest.fixture(scope="module")
def report(place: Place) -> dict[str, Any]:
    done = place.plain("build", "--onnx", "mine.onnx", "--data", "flat", *FAST)
    assert done.returncode == 0, done.stderr
    assert "same as fp32 (95 %)" in done.stdout and "top-1" not in done.stdout
    found: dict[str, Any] = json.loads((place.folder / OUT / "report.json").read_text())
    return found


@pytest.mark.slow  # a whole build
def test_it_comes_to_a_bundle_with_agreement_and_no_accuracy(place: Place, report: dict[str, Any]) -> None:
    rows = {row["candidate"]["id"]: row for row in report["candidates"]}
    assert all(row["test"] is None and row["validation"] is None for row in rows.values())
    int8 = rows["onnxruntime-int8"]["agreement"]
    assert int8["images"] > 100 and int8["same"]["low"] < int8["same"]["estimate"] <= 1
    assert report["notices"][0].startswith(f"NO LABELS: {NO_LABELS}")
    assert report["gates"][0]["gate"]["metric"] == "agreement" and report["build"]["classes"] == 4
    kit = json.loads((place.folder / OUT / "bundle/kits" / report["choice"]["candidate"] / "kit.json").read_text())
    assert kit["labels"] == ["class 0", "class 1", "class 2", "class 3"]


@pytest.mark.slow  # a whole build
def test_page_markdown_and_explanation_say_so(place: Place, report: dict[str, Any]) -> None:
    page, text = ((place.folder / OUT / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "same as fp32" in page and "mistakes are unknown: the images have no labels" in page
    assert "Agreement with fp32 on the test split" in text and "top-1" not in text
    explained = place.plain("explain", OUT)
    assert "images without labels; accuracy is not known" in explained.stdout and "top-1" not in explained.stdout


@pytest.mark.slow  # a whole build
def test_judge_bounds_agreement_and_holds_nothing_against_accuracy(place: Place, report: dict[str, Any]) -> None:
    done = place.plain("judge", OUT, "--min", "agreement=0.5", "--min", "top1=0.5", "--require-measured")
    assert done.returncode == 3, done.stdout
    assert (
        "gate min agreement 0.5: PASS" in done.stdout and "gate min top1 0.5: MISSING, the images have no labels" in done.stdout
    )


def test_what_labels_are_needed_for_is_refused_by_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*words: str) -> BuildRequest:
        asked = BuildOptions(
            onnx=str(place.folder / "mine.onnx"), data=str(place.photos), overrides=words, no_labels=True, verb="plan"
        )
        return request_from(asked, "judge")

    monkeypatch.setenv("EDGECNN_STORE", str(place.store))
    store = Store.open()
    with pytest.raises(EdgecnnError, check=PREPROCESSING_UNPROVED.made):
        plan_build(request(), store, Quiet())
    planned = plan_build(request(*LIKE[1::2]), store, Quiet())
    assert planned.plan.resolved.data.splits_from.startswith("without labels; by content")
    assert planned.test_set == "110 images without labels show how often two candidates agree, but not accuracy"
    with pytest.raises(EdgecnnError, check=LABELS_NEEDED.made):
        check_custom(Recipe(data=DataChoice(path="photos", labels=False)), "judge", place.folder)
    listed = DataChoice(path=str(place.folder / "list.csv"), labels=False)
    Path(listed.path).write_text("path,label\nflat/0000.png,a\n")
    with pytest.raises(EdgecnnError, check=LIST_WITHOUT_LABELS.made) as caught:
        summarize(listed, place.store, Quiet())
    assert caught.value.ref == "list-without-labels"

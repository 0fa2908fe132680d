"""`train.folds=5`: five small networks, one verdict."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import FrameType

import pytest

from edgecnn.bench.bench import JudgeRequest, judge_finished
from edgecnn.devices.machine import local_lab
from edgecnn.errors.training import FoldsNotFitting
from edgecnn.planning.data_rules import require_foldable
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.recipe import Recipe
from tests.building.builds import Place, place_with_photos

FOLDS = ("--set", "train.folds=5", "--set", "train.epochs=8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = place_with_photos(tmp_path_factory.mktemp("folds"))
    done = place.run("build", *FOLDS)
    assert done.returncode in (0, 4), done.stderr
    return place


@pytest.mark.slow  # five trainings
def test_accuracy_is_of_every_image_but_those_of_validation(place: Place) -> None:
    report = place.report()
    rows = {row["candidate"]["id"]: row for row in report["candidates"]}
    assert report["build"]["splits"]["validation"] == 24
    for row in (rows["onnxruntime-fp32"], rows["onnxruntime-int8"]):
        folds = row["test"]["folds"]
        assert row["test"]["images"] == 126 == sum(each["images"] for each in folds["each"]) and len(folds["each"]) == 5
        assert sum(each["images"] for each in row["test"]["quality"]["classes"]["classes"]) == 126
    notes = "\n".join(report["notices"])
    assert "CROSS-VALIDATION: accuracy is of 126 test images in 5 folds" in notes
    assert "onnxruntime-fp32 by fold: top-1 " in notes and "drop of onnxruntime-int8: " in notes
    assert "(over 5 folds)" in report["gates"][0]["reason"]


@pytest.mark.slow  # as the one above
def test_the_first_network_ships_and_judging_again_trains_nothing(place: Place) -> None:
    before = place.report()
    done = place.run("judge", *FOLDS)
    assert done.returncode in (0, 4) and "epoch" not in done.stderr, done.stderr
    after = place.report()
    assert [row["test"] for row in after["candidates"]] == [row["test"] for row in before["candidates"]]
    finished = json.loads(place.plain("judge", place.out, "--json").stdout)
    assert {row["candidate"]["id"]: row["test"]["folds"] for row in finished["candidates"] if row["test"]} == {
        row["candidate"]["id"]: row["test"]["folds"] for row in before["candidates"] if row["kit"] and row["test"]
    }
    plan = json.loads(place.run("plan", *FOLDS, "--json").stdout)
    assert {step["id"] for step in plan["stored"] if not step["cached"]} <= {
        step["id"] for step in plan["stored"] if "mixed" in step["id"]
    }
    assert any(step["id"] == "fold-5:train" for step in plan["stored"])


@pytest.mark.slow  # as the one above
def test_judging_reads_the_folds_keys_and_plans_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    entered = set[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered.add(f"{Path(frame.f_code.co_filename).parent.name}/{frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        judged = judge_finished(JudgeRequest(folder=place.out), local_lab(Store.open(place.store), Quiet()))
    finally:
        sys.setprofile(None)
    (ships,) = (row for row in judged.candidates if row.chosen)
    assert ships.test is not None and ships.test.folds is not None and len(ships.test.folds.each) == 5
    assert entered.isdisjoint({"planning/plan", "planning/lay_trunk", "planning/lay_branch", "planning/resolve"})
    assert "bench/read_folds" in entered


@pytest.mark.parametrize(
    ("asked", "beside"),
    [
        ({"train": {"folds": 5, "teacher": "./other"}}, "train.teacher=./other"),
        ({"train": {"folds": 5}, "synthesis": {"cutouts": "cut", "backgrounds": "back"}}, "[synthesis]"),
    ],
)
def test_what_would_show_nothing_is_refused(asked: dict[str, object], beside: str) -> None:
    with pytest.raises(FoldsNotFitting) as caught:
        require_foldable(Recipe.model_validate(asked))
    assert (caught.value.ref, caught.value.fields["beside"]) == ("folds-not-fitting", beside)

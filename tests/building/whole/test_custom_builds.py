"""`edgecnn build --onnx`: a trained file of one's own goes through every stage after training, by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.building.builds import Place
from tests.graph.custom_files import classifier, photo_folder

FAST = ("--target", "cpu:onnxruntime", "--set", "race.samples=100", "--set", "race.rounds=8", "--set", "choice.objective=size")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("custom"))
    photo_folder(place.photos, per_class=60)
    onnx.save(classifier("half", layout="NHWC", softmax=True, batch=1, opset=11, size=(24, 40)), place.folder / "My Model.onnx")
    return place


@pytest.fixture(scope="module")
def report(place: Place) -> dict[str, Any]:
    done = place.plain("build", "--onnx", "My Model.onnx", "--data", "photos", *FAST)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((place.folder / "builds/my-model-cpu/report.json").read_text())
    return found


def test_it_comes_to_a_judged_bundle_without_training(place: Place, report: dict[str, Any]) -> None:
    assert (place.folder / "builds/my-model-cpu/bundle/choice.json").is_file()
    licences = (place.folder / "builds/my-model-cpu/bundle/LICENCES.md").read_text(encoding="utf-8")
    assert "Unknown. The network is a custom model (a file, SHA-256 " in licences
    assert "train" not in report["outcomes"] and report["outcomes"]["export"]["outcome"] == "ran"
    rows = {row["candidate"]["id"]: row for row in report["candidates"]}
    assert rows["onnxruntime-fp32"]["test"]["top1"]["estimate"] == 1.0
    assert set(rows) == {"onnxruntime-fp32", "onnxruntime-int8"}
    assert report["build"]["parameters"] == 9 + 3 + 12 + 4 and report["build"]["splits"]["train"] == 0
    assert report["build"]["splits"]["test"] > 140


@pytest.mark.slow  # races the candidates of a second runtime
def test_both_runtimes_of_a_processor_take_it(place: Place, report: dict[str, Any]) -> None:
    words = ("--target", "cpu", *FAST[2:], "--out", "both")
    done = place.plain("build", "--onnx", "My Model.onnx", "--data", "photos", *words)
    assert done.returncode == 0, done.stderr
    rows = json.loads((place.folder / "both/report.json").read_text())["candidates"]
    assert {"onnxruntime-int8", "openvino-fp32", "openvino-int8"} <= {row["candidate"]["id"] for row in rows}


def test_the_report_says_how_its_preprocessing_is_known(report: dict[str, Any]) -> None:
    said = next(each for each in report["notices"] if "nothing is trained" in each)
    assert "preprocessing half (mean/std 0.5/0.5, 0.5/0.5, 0.5/0.5; scaled to cover 2" in said
    assert "found by trying 36: right on 36 of 36 images" in said


def test_the_second_call_reads_the_model_no_more(place: Place, report: dict[str, Any]) -> None:
    done = place.plain("build", "--onnx", "My Model.onnx", "--data", "photos", *FAST, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {outcome["outcome"] for outcome in found["outcomes"].values()} == {"cached"}
    assert found["keys"] == report["keys"]


def test_the_kit_predicts_from_a_photograph_by_itself(place: Place, report: dict[str, Any]) -> None:
    chosen = report["choice"]["candidate"]
    done = place.plain("plan", "--onnx", "My Model.onnx", "--data", "photos", *FAST)
    assert done.returncode == 0 and "found by trying 36" in done.stdout
    kit = place.folder / "builds/my-model-cpu/bundle/kits" / chosen
    photo = sorted((place.photos / "bright red").iterdir())[0]
    from tests.runner.processes import runner

    status, last = runner(kit, "predict", str(photo))
    assert status == 0 and "bright red" in json.dumps(last)


def test_the_page_and_judge_know_a_build_that_was_never_trained(place: Place, report: dict[str, Any]) -> None:
    page = (place.folder / "builds/my-model-cpu/report.html").read_text()
    assert "nothing was trained: the custom model is used as it is" in page
    done = place.plain("judge", "builds/my-model-cpu", "--max", "drop_pp=5", "--min", "top1=0.9")
    assert done.returncode == 0, done.stderr


def test_a_file_that_answers_at_random_is_refused_before_anything_is_built(place: Place) -> None:
    model = classifier("half")
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    scores, gemm.output[0] = gemm.output[0], "clean"
    model.graph.node.append(onnx.helper.make_node("RandomNormalLike", ["clean"], ["noise"], name="noise", scale=0.3))
    model.graph.node.append(onnx.helper.make_node("Add", ["clean", "noise"], [scores], name="noisy"))
    onnx.save(model, place.folder / "random.onnx")
    done = place.plain("build", "--onnx", "random.onnx", "--data", "photos", *FAST)
    assert done.returncode == 2 and "(RandomNormalLike noise)" in done.stderr, done.stdout
    assert not (place.folder / "builds/random-cpu").exists()


@pytest.mark.slow  # a whole build with OpenVINO
def test_a_file_with_channels_last_whose_tensors_openvino_merges_ships_in_openvino(place: Place) -> None:
    model = classifier("half", layout="NHWC", opset=13)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["a_planes" if name == "planes" else name for name in names]
    onnx.save(model, place.folder / "last.onnx")
    words = ("--target", "cpu:openvino", *FAST[2:], "--out", "last")
    done = place.plain("build", "--onnx", "last.onnx", "--data", "photos", *words)
    assert done.returncode == 0, done.stderr
    rows = {row["candidate"]["id"]: row for row in json.loads((place.folder / "last/report.json").read_text())["candidates"]}
    assert rows["openvino-fp32"]["test"]["top1"]["estimate"] == 1.0
    picture = sorted((place.photos / "bright red").iterdir())[0]
    assert place.plain("predict", "last", str(picture)).returncode == 0


REFUSED = {
    "custom-model-and-arch": ("--arch", "resnet-18"),
    "custom-file-missing": ("--onnx", "no.onnx"),
    "preprocessing-half-given": ("--set", "preprocessing.mean=[0.5, 0.5, 0.5]"),
    "custom-model-and-arch ": ("--set", "train.epochs=3"),
    "unknown-preprocessing": ("--set", "preprocessing.like=imagnet"),
}


@pytest.mark.parametrize("ref", REFUSED)
def test_contradictions_are_told_before_time_is_spent(place: Place, ref: str) -> None:
    done = place.plain("build", "--onnx", "My Model.onnx", "--data", "photos", *FAST, *REFUSED[ref])
    assert done.returncode == 2 and f"[{ref.strip()}]" in done.stderr


def test_what_a_custom_model_needs_is_named(place: Place, tmp_path: Path) -> None:
    assert "[custom-model-without-data]" in place.plain("build", "--onnx", "My Model.onnx").stderr
    assert "[nothing-to-train]" in place.plain("train", "--onnx", "My Model.onnx", "--data", "photos").stderr
    of_an_arch = place.plain("plan", "--arch", "resnet-18", "--weights", "none", "--set", "preprocessing.like=half")
    assert "[preprocessing-of-an-arch]" in of_an_arch.stderr
    (place.folder / "text.onnx").write_text("no model")
    assert "[foreign-model]" in place.plain("build", "--onnx", "text.onnx", "--data", "photos").stderr
    photo_folder(tmp_path / "fewer", per_class=8)
    (tmp_path / "fewer" / "dark red").rename(tmp_path / "away")
    done = place.plain("build", "--onnx", "My Model.onnx", "--data", str(tmp_path / "fewer"))
    assert "has 4 output classes, but" in done.stderr and "[custom-model-classes-differ]" in done.stderr


def test_surgery_of_a_graph_is_listed_as_what_is_not_to_be_had(place: Place, report: dict[str, Any]) -> None:
    done = place.plain("plan", "--onnx", "My Model.onnx", "--data", "photos", *FAST, "--set", "surgery.pruned=0.3")
    assert done.returncode == 0, done.stderr
    assert "onnxruntime-int8-pruned-0.3: a custom model is a fixed graph" in done.stdout


def test_a_shown_recipe_of_a_custom_model_builds_the_same(place: Place, report: dict[str, Any]) -> None:
    shown = place.plain("recipe", "show", "--onnx", "My Model.onnx", "--data", "photos", "--target", "cpu")
    assert shown.returncode == 0, shown.stderr
    (place.folder / "kept.toml").write_text(shown.stdout)
    done = place.plain("plan", "kept.toml", "--json")
    assert done.returncode == 0, done.stderr
    keys = {step["id"]: step["key"] for step in json.loads(done.stdout)["steps"]}
    assert keys["export"] == report["keys"]["export"]


def test_the_model_in_the_bundle_that_would_be_replaced_is_refused(place: Place, report: dict[str, Any]) -> None:
    inside = f"builds/my-model-cpu/bundle/kits/{report['choice']['candidate']}/model.onnx"
    done = place.plain("build", "--onnx", inside, "--data", "photos", "--out", "builds/my-model-cpu")
    assert done.returncode == 2 and "it lies in the bundle that this build would replace" in done.stderr

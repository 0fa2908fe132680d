"""Resolving leaves nothing open, edits no request, and asks the network at most once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.backends import installed as installed_module
from edgecnn.backends.registry import backend_for
from edgecnn.building.publish import publish_plan
from edgecnn.data.manifest import summarize
from edgecnn.devices import desktop_gpu as gpu_module
from edgecnn.devices.files import device_named, target_of
from edgecnn.errors.building import NothingToBuild
from edgecnn.errors.devices import NoCandidate, PrecisionNotOnDevice
from edgecnn.errors.gates import UnknownMetric
from edgecnn.errors.quantization import CalibrationSetTooSmall
from edgecnn.errors.training import NothingToReplace
from edgecnn.models import weights as weights_module
from edgecnn.planning import complete
from edgecnn.planning.complete import CompletedRecipe, complete_recipe
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.resources import resource_folder
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.artifact import Unavailable, WeightsAnswer
from edgecnn.values.candidate import BASELINE_ID, Runtime
from edgecnn.values.recipe import DataChoice, Recipe
from edgecnn.values.resolved import Resolved
from tests.data.folders import fill
from tests.graph.custom_files import photo_folder
from tests.store.toys import Ear

ANSWER = WeightsAnswer(choice="auto", kind="none", asked=True, why="the network was silent yesterday")


class Bench:
    """A folder of photographs, a store and a place for results."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.store = Store.open(folder / "store")
        self.photos = fill(folder / "photos", {"cat": 20, "dog": 20})
        self.out.mkdir()

    def request(self, target: str = "cpu", *, refresh: bool = False, **tables: dict[str, Any]) -> BuildRequest:
        model = {"arch": "resnet-18", "weights": "none", **tables.pop("model", {})}
        recipe = Recipe.model_validate(
            {"model": model, "data": {"path": str(self.photos), "calibration_images": 5}, **tables},
        )
        device, runtime = target_of(recipe.target, target)
        recipe = recipe.model_copy(
            update={"target": recipe.target.model_copy(update={"device": device.name, "runtime": runtime})}
        )
        return BuildRequest(recipe=recipe, device=device, out=self.out, refresh_weights=refresh)

    def resolve(self, target: str = "cpu", *, refresh: bool = False, **tables: dict[str, Any]) -> Resolved:
        return resolve(self.request(target, refresh=refresh, **tables), self.store, Ear())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return Bench(tmp_path)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a distribution away from this machine."""
    real = installed_module.installed_version

    def take(name: str) -> None:
        for module in (complete, gpu_module, installed_module):
            monkeypatch.setattr(module, "installed_version", lambda each: None if each == name else real(each))

    return take


def ids(found: Resolved) -> list[str]:
    return [candidate.id for candidate in found.candidates]


def test_int8_that_is_learned_is_built_only_when_asked_for_and_comes_last(bench: Bench) -> None:
    without = ids(bench.resolve())
    assert ids(bench.resolve(quantize={"aware": True})) == [*without, "onnxruntime-int8-aware", "openvino-int8-aware"]


def test_int8_that_is_to_be_learned_where_the_device_has_none_is_refused_before_anything_is_read(bench: Bench) -> None:
    shipped = (resource_folder("devices") / "raspberry-pi-5.toml").read_text(encoding="utf-8")
    own = bench.folder / "own.toml"
    own.write_text(shipped.replace('"raspberry-pi-5"', '"own"').replace('int8 = "native"', 'int8 = "none"'), encoding="utf-8")
    assert ids(bench.resolve(str(own))) == ["onnxruntime-fp32", "onnxruntime-fp16"]
    with pytest.raises(PrecisionNotOnDevice, match="^own has no int8, which quantize.aware asks for: .* has fp32, fp16 — leave"):
        resolve(bench.request(str(own), quantize={"aware": True}, data={"path": "/nowhere"}), bench.store, Ear())


def test_a_changed_network_is_built_only_when_asked_for_and_refused_before_anything_is_read(bench: Bench) -> None:
    without = ids(bench.resolve(model={"arch": "efficientnet-b0"}))
    found = bench.resolve(model={"arch": "efficientnet-b0"}, surgery={"activation": "hard-swish"})
    assert ids(found) == [*without, *(f"{name}-hard-swish" for name in without)]
    assert not any("hard-swish" in name for name in found.unavailable)
    nowhere = bench.request(surgery={"activation": "hard-swish"}, data={"path": "/nowhere"})
    with pytest.raises(NothingToReplace, match="resnet-18, which has none: it has ReLU, and no squeeze-excite"):
        resolve(nowhere, bench.store, Ear())


def test_defaults_are_filled_in_and_what_was_asked_is_kept(bench: Bench) -> None:
    request = bench.request()
    found = resolve(request, bench.store, Ear())
    assert found.asked == request.recipe
    assert (found.asked.train.epochs, found.asked.train.learning_rate) == (None, None)
    assert found.asked.model.resolution_px is found.asked.quantize.images is None
    assert found.recipe.train.epochs is not None
    assert found.recipe.train.learning_rate is not None
    assert found.recipe.model.resolution_px == found.arch.resolution_px == ImageSize.square(224)
    assert found.recipe.quantize.images == found.data.counts["calibration"] == 5


def test_more_calibration_images_than_there_are_are_refused_before_anything_is_trained(bench: Bench) -> None:
    assert bench.resolve(quantize={"images": 5}).recipe.quantize.images == 5
    with pytest.raises(CalibrationSetTooSmall, match="quantize asks for 6 calibration images, found 5"):
        bench.resolve(quantize={"images": 6})


def test_what_was_asked_is_never_replaced_by_a_default(bench: Bench) -> None:
    found = bench.resolve(
        model={"resolution_px": 96}, quantize={"images": 3}, surgery={"learning_rate": 0.1, "epochs": 3},
        train={
            "epochs": 0, "learning_rate": 0.5, "augment": [{"kind": "noise"}], "batch_size": 3, "label_smoothing": 0.3,
            "transfer": "scratch", "device": "cpu",
        },
    )  # fmt: skip
    assert found.recipe == found.asked


def test_the_demo_is_resolved_at_the_resolution_that_it_can_show(bench: Bench) -> None:
    request = bench.request(data={"path": "demo"})
    assert resolve(request, bench.store, Ear()).recipe.model.resolution_px == ImageSize.square(64)


def test_what_was_resolved_can_be_planned(bench: Bench) -> None:
    found = bench.resolve()
    assert found.sources == {found.data.content: Path(found.data.manifest_path)}
    assert plan(found).step("train") is not None
    assert plan(found).step("fetch") is None, "from scratch nothing is fetched"


def test_a_user_s_own_weights_are_a_source_named_by_content(bench: Bench) -> None:
    mine = bench.folder / "mine.safetensors"
    header = b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'
    mine.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    found = bench.resolve(model={"weights": str(mine)})
    assert found.mode == "finetune"
    assert mine.resolve() in found.sources.values()


def keep_answer(bench: Bench, answer: WeightsAnswer = ANSWER) -> None:
    found = bench.resolve(model={"weights": "auto"})
    publish_plan(plan(found.model_copy(update={"weights": answer})), bench.out)


def test_what_the_network_answered_this_folder_s_last_build_is_not_asked_again(bench: Bench) -> None:
    keep_answer(bench)
    assert bench.resolve(model={"weights": "auto"}).weights == ANSWER


def test_refreshing_asks_the_network_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_answer(bench)
    monkeypatch.delenv("EDGECNN_OFFLINE")
    asked: list[str] = []
    monkeypatch.setattr(weights_module, "_refusal", asked.append)
    assert bench.resolve(model={"weights": "auto"}, refresh=True).weights.kind == "download"
    assert len(asked) == 1


@pytest.mark.parametrize("model", [{"weights": "auto", "arch": "resnet-50"}, {"weights": "none"}], ids=["arch", "choice"])
def test_an_answer_to_another_question_is_not_taken(bench: Bench, model: dict[str, str]) -> None:
    keep_answer(bench)
    assert bench.resolve(model=model).weights.why != ANSWER.why


def test_an_answer_that_was_given_without_the_network_is_not_kept(bench: Bench) -> None:
    keep_answer(bench, ANSWER.model_copy(update={"asked": False}))
    assert bench.resolve(model={"weights": "auto"}).weights.why != ANSWER.why


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"resolved": 3}', '{"resolved": {"arch": {"name": "resnet-18"}}}', "\x00"],
)
def test_a_damaged_plan_costs_one_question_and_nothing_else(bench: Bench, text: str) -> None:
    (bench.out / "plan.json").write_text(text)
    assert "EDGECNN_OFFLINE" in bench.resolve(model={"weights": "auto"}).weights.why


def test_a_kept_answer_that_is_no_answer_costs_one_question(bench: Bench) -> None:
    keep_answer(bench)
    said = json.loads((bench.out / "plan.json").read_text())
    said["resolved"]["weights"] = {"kind": "magic"}
    (bench.out / "plan.json").write_text(json.dumps(said))
    assert "EDGECNN_OFFLINE" in bench.resolve(model={"weights": "auto"}).weights.why


# ---------------------------------------------------------------------------------------------------------------------


def test_a_jetson_gets_tensorrt_candidates_beside_the_fp32_baseline(bench: Bench) -> None:
    found = bench.resolve("jetson")
    assert ids(found) == [BASELINE_ID, "tensorrt-fp16", "tensorrt-int8"]
    assert not found.attachment.attached
    assert found.attachment.why.endswith(f", which is not {found.device.title}")


def test_a_target_with_one_runtime_still_has_the_baseline_first_and_no_other_of_its_runtime(bench: Bench) -> None:
    found = bench.resolve("cpu:openvino")
    assert ids(found)[0] == BASELINE_ID
    assert {candidate.runtime for candidate in found.candidates[1:]} == {Runtime.OPENVINO}
    assert found.attachment.attached


def test_every_runtime_that_the_device_offers_is_taken_where_none_is_named(bench: Bench) -> None:
    found = bench.resolve("cpu")
    assert {candidate.runtime for candidate in found.candidates} == {Runtime.ONNXRUNTIME, Runtime.OPENVINO}
    assert ids(found).count(BASELINE_ID) == 1


def test_a_candidate_whose_package_is_missing_is_unavailable_with_the_line_that_brings_it(
    bench: Bench, without: Callable[[str], None]
) -> None:
    without("openvino")
    found = bench.resolve("cpu")
    lacking = Unavailable(why="openvino is not installed", command='pip install "edgecnn[openvino]"')
    assert found.unavailable["openvino-int8"] == lacking
    assert {candidate.runtime for candidate in found.candidates} == {Runtime.ONNXRUNTIME}
    assert found.versions["openvino"] == "absent", "installing it makes other keys"


def test_without_the_baseline_s_runtime_nothing_can_be_built(bench: Bench, without: Callable[[str], None]) -> None:
    without(backend_for(Runtime.ONNXRUNTIME).packages[-1])
    with pytest.raises(NothingToBuild) as caught:
        bench.resolve("cpu:openvino")
    name = backend_for(Runtime.ONNXRUNTIME).packages[-1]
    assert caught.value.line() == (
        f'nothing can be built for cpu here: {name} is not installed — pip install "edgecnn[onnxruntime]" [nothing-to-build]'
    )


def test_a_device_that_is_too_old_for_every_runtime_is_refused_with_each_reason_before_any_work(bench: Bench) -> None:
    text = (resource_folder("devices") / "raspberry-pi-5.toml").read_text()
    old = bench.folder / "old-board.toml"
    old.write_text(re.sub("onnx_opset_max = [0-9]+", "onnx_opset_max = 12", text.replace('"raspberry-pi-5"', '"old-board"')))
    with pytest.raises(NoCandidate, match="old-board: onnxruntime fp32, fp16, bf16, int8: .* up to opset 12"):
        bench.resolve(str(old))
    assert not bench.store.root.exists()


def test_where_the_only_runtime_of_the_target_is_not_installed_nothing_is_trained(
    bench: Bench, without: Callable[[str], None]
) -> None:
    without("openvino")
    with pytest.raises(NothingToBuild) as caught:
        bench.resolve("cpu:openvino")
    assert caught.value.line() == (
        'nothing can be built for cpu here: openvino is not installed — pip install "edgecnn[openvino]" [nothing-to-build]'
    )


def test_a_bound_of_the_recipe_that_no_gate_knows_is_refused_before_any_work(bench: Bench) -> None:
    with pytest.raises(UnknownMetric):
        bench.resolve(gates={"max": {"p98_ms": 3.0}})
    assert not bench.store.root.exists()


def test_a_gpu_of_this_machine_plays_the_baseline_and_is_never_shipped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu_module, "gpu_models", lambda: ["NVIDIA GeForce RTX 4090"])
    found = bench.resolve()
    assert found.desktop_gpu is not None
    assert found.desktop_gpu.candidate not in found.candidates
    steps = plan(found)
    assert [step.id for step in steps.of_candidate("torch-fp32")] == ["program:torch-fp32", "package:torch-fp32"]
    variant, package = steps.of_candidate("torch-amp-cudagraph")
    assert variant.stage.inputs["program"] == steps.of_candidate("torch-fp32")[0].key, "the very program of the reference"
    assert (variant.id, package.id) == ("variant:torch-amp-cudagraph", "package:torch-amp-cudagraph")
    assert not any("torch" in each.id for rung in steps.rungs for each in rung.candidates)


def test_without_a_gpu_nobody_plays_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_module, "gpu_models", lambda: [])
    found = bench.resolve()
    assert found.desktop_gpu is None
    assert plan(found).of_candidate("torch-fp32") == ()


def test_what_a_custom_model_is_said_to_have_learned_from_is_not_reported_on(tmp_path: Path) -> None:
    """An ensemble's members learned from these images: the file has their roles, and not one with their training images in."""
    photos, store = str(photo_folder(tmp_path / "photos", each=20)), Store.open(tmp_path / "store")

    def settled(**data: object) -> CompletedRecipe:
        recipe = Recipe.model_validate({"model": {"onnx": "e.onnx"}, "data": {"path": photos, "calibration_images": 6, **data}})
        return complete_recipe(BuildRequest(recipe=recipe, device=device_named("cpu"), out=tmp_path), store, Ear())

    theirs = summarize(DataChoice(path=photos, calibration_images=6), store.root, Ear())
    kept, usual = settled(train=True), settled()
    assert kept.data.content == theirs.content and kept.data.counts["train"] > 0
    assert kept.recipe.data.train and "role train (data.train = true), which is kept out" in kept.weights.why
    assert usual.data.counts["train"] == 0 and usual.data.counts["test"] > kept.data.counts["test"]
    assert "not known here" in usual.weights.why and settled(train=False).data == usual.data

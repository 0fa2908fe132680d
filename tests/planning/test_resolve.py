"""Resolving leaves nothing open, edits no request, and asks the network at most once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.build import plan_build, publish_plan
from edgecnn.data.manifest import summarize
from edgecnn.devices.files import device_named, target_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import UNKNOWN_METRIC
from edgecnn.errors.graph import CALIBRATION_SET_TOO_SMALL
from edgecnn.models import weights as weights_module
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.complete import CompletedRecipe, complete_recipe
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.resolve import resolve
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.recipe import DataChoice, Recipe
from edgecnn.values.resolved import Resolved
from tests.data.folders import fill
from tests.graph.custom_files import photo_folder
from tests.store.toys import Ear

ANSWER = WeightsAnswer(choice="auto", kind="none", asked=True, what="random weights", why="the network was silent yesterday")


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
    with pytest.raises(EdgecnnError, check=CALIBRATION_SET_TOO_SMALL.made):
        bench.resolve(quantize={"images": 6})


def test_what_was_asked_is_never_replaced_by_a_default(bench: Bench) -> None:
    found = bench.resolve(
        model={"resolution_px": 96}, quantize={"images": 3}, surgery={"learning_rate": 0.1, "epochs": 3},
        train={
            "epochs": 0, "learning_rate": 0.5, "augment": [{"kind": "noise"}], "batch_size": 3, "label_smoothing": 0.3,
            "transfer": "scratch", "cycles": "one", "device": "cpu", "threads": 3,
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
    answer = bench.resolve(model={"weights": "auto"}).weights
    assert answer.model_copy(update={"alternative": None}) == ANSWER


def test_refreshing_asks_the_network_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_answer(bench)
    monkeypatch.delenv("EDGECNN_OFFLINE")
    asked: list[str] = []
    monkeypatch.setattr(weights_module, "_refusal_of_server", asked.append)
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


def test_a_bound_of_the_recipe_that_no_gate_knows_is_refused_before_any_work(bench: Bench) -> None:
    with pytest.raises(EdgecnnError, check=UNKNOWN_METRIC.made):
        bench.resolve(gates={"max": {"p98_ms": 3.0}})
    assert not bench.store.root.exists()


def test_what_a_custom_model_is_said_to_have_learned_from_is_not_reported_on(tmp_path: Path) -> None:
    """An ensemble's members learned from these images: the file has their roles, and not one with their training images in."""
    photos, store = str(photo_folder(tmp_path / "photos", per_class=20)), Store.open(tmp_path / "store")

    def settled(**data: object) -> CompletedRecipe:
        recipe = Recipe.model_validate({"model": {"onnx": "e.onnx"}, "data": {"path": photos, "calibration_images": 6, **data}})
        return complete_recipe(BuildRequest(recipe=recipe, device=device_named("cpu"), out=tmp_path), store, Ear())

    theirs = summarize(DataChoice(path=photos, calibration_images=6), store.root, Ear())
    kept, usual = settled(train=True), settled()
    assert kept.data.content == theirs.content and kept.data.counts["train"] > 0
    assert kept.recipe.data.train and "data.train = true keeps" in kept.weights.why
    assert usual.data.counts["train"] == 0 and usual.data.counts["test"] > kept.data.counts["test"]
    assert "it is unknown" in usual.weights.why and settled(train=False).data == usual.data


def test_a_network_without_weights_here_is_told_which_one_has_some(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(bench.folder / "hub"))
    answer = bench.resolve(model={"weights": "auto", "arch": "resnet-18"}).weights
    assert answer.fell_back and answer.alternative is not None
    assert answer.alternative.arch.startswith("efficientnet-lite")  # of the extra offline-weights
    assert answer.alternative.sentence.endswith(f": --arch {answer.alternative.arch}")
    (hub := weights_module.hub_folder()).mkdir(parents=True)
    weights = arch_named("mobilenet-v3-small").weights
    assert weights is not None
    (hub / weights.file).write_bytes(b"")
    monkeypatch.setattr(weights_module, "sha256_of", lambda _path: weights.sha256_prefix)
    better = bench.resolve(model={"weights": "auto", "arch": "mobilenet-v1-0.5"}).weights.alternative
    assert better is not None
    most_work = 2 * (better.instead_of_macs or 0)
    assert (better.arch, (better.macs or 0) <= most_work) == ("mobilenet-v3-small", True)
    asked = bench.resolve(model={"weights": "none"}).weights
    assert asked.alternative is not None and not asked.fell_back, "a weak result names it, the plan does not"


def test_a_stated_resolution_or_scale_has_to_fit_the_network_with_weights(bench: Bench) -> None:
    small = bench.resolve(model={"weights": "none", "arch": "mobilenet-v2", "resolution_px": 32}).weights.alternative
    assert small is not None and small.arch == "efficientnet-lite0"
    scaled = bench.resolve(model={"weights": "none", "arch": "mobilenet-v2", "scale": "depth=1,width=0.5"}).weights
    assert scaled.alternative is None


def test_a_plan_estimates_no_time_before_a_step_of_each_kind_was_made_here(bench: Bench) -> None:
    planned = plan_build(bench.request(), bench.store, Ear())
    assert planned.make_seconds is None
    assert all(step.missing is not None for step in planned.steps)

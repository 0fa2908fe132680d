"""A plan of images with several labels: its gate, its thresholds, and what is refused before any time is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.labels import BOUND_OF_SEVERAL_LABELS, MultiLabelNotFitting
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest, effective_gates
from edgecnn.planning.resolve import resolve
from edgecnn.values.recipe import Recipe
from tests.data.label_lists import drawn, listed, rows_by_name
from tests.graph.custom_files import classifier, photo_folder, quantized
from tests.planning.test_resolve import Bench
from tests.store.toys import Ear


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.photos = listed(tmp_path, rows_by_name(drawn(tmp_path / "drawn", 80)))
    made.photos.write_text(made.photos.read_text().replace("photos/", "drawn/photos/"))
    return made


def test_every_kit_is_given_the_thresholds_of_the_trunk_and_the_gate_is_on_map(bench: Bench) -> None:
    resolved = resolve(bench.request(), bench.store, Ear())
    assert resolved.data.multi_label and resolved.recipe.train.label_smoothing == 0
    assert [gate.metric for gate in effective_gates(resolved, None, "fresh-enough", None).gates] == ["map_drop_pp"]
    planned = plan(resolved)
    export = planned.step("export")
    kits = [step.stage.inputs for step in planned.steps if step.stage.kind == "package"]
    assert export is not None and len(kits) > 2
    assert {kit["thresholds"] for kit in kits} == {export.key}


def test_of_one_class_an_image_nothing_of_it_is_in_a_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    planned = plan(resolve(bench.request(), bench.store, Ear()))
    assert "multi_label" not in planned.resolved.data.model_dump()
    assert all("thresholds" not in step.stage.inputs for step in planned.steps)
    assert planned.resolved.recipe.train.label_smoothing == 0.1


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "train.balance=weights": (
        {"train": {"balance": "weights"}},
        "no single class",
    ),
    "train.teacher": ({"train": {"teacher": "resnet-34"}}, "probabilities that sum to 1"),
    "quantize.aware": ({"quantize": {"aware": True}}, "probabilities that sum to 1"),
    "train.head=svm": (
        {"train": {"head": "svm"}},
        "train.head=linear",
    ),
    "--transfer auto": (
        {"train": {"transfer": "auto"}},
        "head, last or all",
    ),
    "train.folds": ({"train": {"folds": 5}}, "drop of mAP"),
    "[surgery]": ({"surgery": {"pruned": 0.3}}, "probabilities that sum to 1"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_knows_of_one_class_alone_is_refused_by_its_name(bench: Bench, setting: str) -> None:
    tables, names = REFUSED[setting]
    with pytest.raises(MultiLabelNotFitting) as caught:
        resolve(bench.request(**tables), bench.store, Ear())
    assert (caught.value.ref, caught.value.fields["asked"]) == ("multi-label-not-fitting", setting)
    assert names in caught.value.fields["because"]


def custom_bench(tmp_path: Path, **ending: bool) -> Bench:
    """Photographs with several labels, and a network of four classes that ends so."""
    bench = Bench(tmp_path)
    bench.photos = listed(tmp_path, [["path", "labels"], *_shown(tmp_path)])
    onnx.save(classifier("half", **ending), tmp_path / "mine.onnx")
    return bench


def _shown(folder: Path) -> list[list[str]]:
    photos = photo_folder(folder / "own", per_class=20)
    return [[str(path.relative_to(folder)), "|".join(path.parent.name.split())] for path in sorted(photos.rglob("*.png"))]


def asked(bench: Bench, like: str | None = "half", **data: Any) -> BuildRequest:
    recipe = {
        "model": {"onnx": str(bench.folder / "mine.onnx")},
        "data": {"path": str(bench.photos), "calibration_images": 6, **data},
    }
    preprocessing = {} if like is None else {"preprocessing": {"like": like}}
    request = bench.request()
    target = request.recipe.target
    return request.model_copy(update={"recipe": Recipe.model_validate({**recipe, **preprocessing, "target": target})})


def test_a_network_of_the_user_s_own_gives_several_labels(tmp_path: Path) -> None:
    bench = custom_bench(tmp_path, sigmoid=True)
    resolved = resolve(asked(bench), bench.store, Ear())
    assert resolved.data.classes == ("blue", "bright", "dark", "red") and resolved.multi_label
    assert resolved.custom_model is not None and resolved.custom_model.entry.ends_in_sigmoid
    planned = plan(resolved)
    export = planned.step("export")
    assert export is not None
    assert {step.stage.inputs["thresholds"] for step in planned.steps if step.stage.kind == "package"} == {export.key}


@pytest.mark.parametrize("in_bytes", [False, True])
def test_shares_of_one_class_are_refused(tmp_path: Path, in_bytes: bool) -> None:
    bench = custom_bench(tmp_path, softmax=True)
    if in_bytes:
        quantized(tmp_path, "Q/DQ", softmax=True).replace(tmp_path / "mine.onnx")
    with pytest.raises(MultiLabelNotFitting) as caught:
        resolve(asked(bench), bench.store, Ear())
    assert (caught.value.ref, caught.value.fields["because"], caught.value.fields["hint"]) == (
        "multi-label-not-fitting",
        "it ends in a softmax, so its predictions belong to one class",
        "pass a network that ends in logits or a sigmoid",
    )


@pytest.mark.parametrize("sigmoid", [True, False])
def test_without_labels_a_last_sigmoid_says_that_there_are_several(tmp_path: Path, sigmoid: bool) -> None:
    bench = custom_bench(tmp_path, sigmoid=sigmoid)
    bench.photos = tmp_path / "own"
    resolved = resolve(asked(bench, labels=False), bench.store, Ear())
    assert (resolved.multi_label, resolved.data.multi_label) == (sigmoid, False)
    kits = [step.stage.inputs for step in plan(resolved).steps if step.stage.kind == "package"]
    assert all(("thresholds" in kit) == sigmoid for kit in kits)
    assert [gate.metric for gate in effective_gates(resolved, None, "fresh-enough", None).gates] == ["agreement"]


def test_a_bound_of_one_class_is_refused_before_anything_is_built(bench: Bench) -> None:
    for tables in ({"gates": {"min": {"top1": 0.5}}}, {"gates": {"max": {"drop_pp": 1}}}):
        name = next(iter(next(iter(tables["gates"].values()))))
        with pytest.raises(MultiLabelNotFitting) as caught:
            resolve(bench.request(**tables), bench.store, Ear())
        assert name in caught.value.fields["asked"]
        assert caught.value.ref == "multi-label-not-fitting"
        assert "map_drop_pp, map, micro_f1, macro_f1 and agreement" in caught.value.fields["because"]


@pytest.mark.parametrize("tables", [{"gates": {"max": {"map_drop_pp": 5}}}, {"gates": {"min": {"micro_f1": 0.5}}}])
def test_a_bound_of_several_labels_is_refused_where_images_have_one_class(
    tables: dict[str, dict[str, dict[str, float]]], tmp_path: Path
) -> None:
    bench = custom_bench(tmp_path)
    bench.photos = tmp_path / "own"
    name = next(iter(next(iter(tables["gates"].values()))))
    with pytest.raises(EdgecnnError, check=BOUND_OF_SEVERAL_LABELS.made) as caught:
        resolve(bench.request(**tables), bench.store, Ear())
    assert caught.value.fields["metric"] == name

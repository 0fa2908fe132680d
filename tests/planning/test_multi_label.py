"""A plan of images with several labels: its gate, its thresholds, and what is refused before any time is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.report import gates_of
from edgecnn.errors.multi_label import MultiLabelNotFitting
from edgecnn.planning.plan import plan
from edgecnn.planning.resolve import resolve
from tests.data.label_lists import by_name, drawn, listed
from tests.planning.test_resolve import Bench
from tests.store.toys import Ear


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.photos = listed(tmp_path, by_name(drawn(tmp_path / "drawn", 80)))
    made.photos.write_text(made.photos.read_text().replace("photos/", "drawn/photos/"))
    return made


def test_every_kit_is_given_the_thresholds_of_the_trunk_and_the_gate_is_on_map(bench: Bench) -> None:
    resolved = resolve(bench.request(), bench.store, Ear())
    assert resolved.data.multi_label and resolved.recipe.train.label_smoothing == 0
    assert [gate.metric for gate in gates_of(resolved, None)] == ["map_drop_pp"]
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
        "an image counts for each of its labels, frequent and rare ones alike",
    ),
    "train.teacher": ({"train": {"teacher": "resnet-34"}}, "it learns a network's answers as shares of one class"),
    "quantize.aware": ({"quantize": {"aware": True}}, "it learns a network's answers as shares of one class"),
    "train.head=svm": (
        {"train": {"head": "svm"}},
        "it is fitted to one class an image; train.head=linear learns each label by itself",
    ),
    "--transfer auto": (
        {"train": {"transfer": "auto"}},
        "it decides by the accuracy of one class an image; head, last and all can be asked for",
    ),
    "[surgery]": ({"surgery": {"pruned": 0.3}}, "it learns a network's answers as shares of one class"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_knows_of_one_class_alone_is_refused_by_its_name(bench: Bench, setting: str) -> None:
    tables, because = REFUSED[setting]
    with pytest.raises(MultiLabelNotFitting) as caught:
        resolve(bench.request(**tables), bench.store, Ear())
    assert caught.value.line() == (
        f"{setting} does not go with several labels an image: {because}"
        " — leave it out, or list one label an image [multi-label-not-fitting]"
    )

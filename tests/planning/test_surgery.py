"""Candidates of a changed network: offered when asked for, from one training, and no word of them where nobody asks."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import (
    NOTHING_CHANGES_HERE,
    NOTHING_TO_PRUNE,
    NOTHING_TO_REPLACE,
    SURGERY_OF_NOTHING,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.candidates import (
    BASELINE,
    add_trained_candidates,
    aware_candidates,
    aware_unavailable,
    require_something_to_replace,
    surgery_candidates,
    surgery_unavailable,
)
from edgecnn.planning.complete import completed_surgery
from edgecnn.planning.plan import Plan, plan, training_inputs_and_settings
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import Candidate, Runtime, graph_of
from edgecnn.values.recipe import Recipe, SurgeryChoice
from edgecnn.values.training import Surgery
from tests.building.resolutions import INT8, TRT_FP16, VERSIONS, resolved, summary

OPENVINO = INT8.model_copy(update={"id": "openvino-int8", "runtime": Runtime.OPENVINO, "session_options": {"A": "b"}})
OFFERED = (BASELINE, INT8, OPENVINO, TRT_FP16)
REMOVED: dict[str, Any] = {"squeeze_excite": "remove", "epochs": 2}


def recipe(arch: str = "efficientnet-b0", target: dict[str, str] | None = None, **surgery: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "model": {"arch": arch, "resolution_px": 64},
            "train": {"epochs": 2, "learning_rate": 0.01},
            "quantize": {"images": 200},
            "surgery": {"epochs": 4, **surgery},
            "target": target or {},
        }
    )


def planned(*more: Candidate, **surgery: Any) -> Plan:
    asked = recipe(**(surgery or REMOVED))
    changed = surgery_candidates(OFFERED, asked)
    return plan(resolved(asked, candidates=(*OFFERED, *more, *changed)))


def test_each_candidate_has_one_of_the_changed_network_that_says_what_was_done() -> None:
    made = surgery_candidates(OFFERED, recipe(activation="hard-swish", epochs=3))
    assert [each.id for each in made] == [f"{each.id}-hard-swish" for each in OFFERED]
    assert {each.surgery for each in made} == {Surgery(activation="hard-swish", epochs=3)}
    assert [(each.precision, each.method, each.scheme, each.session_options) for each in made] == [
        (each.precision, each.method, each.scheme, each.session_options) for each in OFFERED
    ]
    assert {graph_of(each) for each in made} == {"surgery"}


def test_nothing_is_offered_where_nobody_asks() -> None:
    assert surgery_candidates(OFFERED, recipe()) == ()
    assert surgery_candidates(OFFERED, recipe(epochs=9)) == ()


def test_the_fp32_that_drops_are_counted_from_is_not_changed_for_another_runtimes_target() -> None:
    target = {"device": "jetson-orin-nano", "runtime": "tensorrt"}
    made = surgery_candidates((BASELINE, TRT_FP16), recipe(target=target, activation="relu6"))
    assert [each.id for each in made] == ["tensorrt-fp16-relu6"]


def test_the_rung_is_the_last_and_all_its_candidates_come_from_one_training() -> None:
    found = planned(*aware_candidates(OFFERED))
    assert [rung.name for rung in found.rungs if rung.mends is None] == ["fp32", "half", "int8", "aware", "surgery"]
    (step,) = [each for each in found.steps if each.stage.kind == "surgery"]
    for candidate in found.rungs[-1].candidates:
        quantize = found.step(f"quantize:{candidate.id}")
        assert quantize is not None
        assert quantize.stage.inputs["model"] == step.key
    order = [each.id for each in found.steps]
    assert order.index("surgery") < order.index("quantize:onnxruntime-fp32-no-se")


def test_no_rung_keeps_layers_of_a_changed_network_in_float() -> None:
    assert not [rung.name for rung in planned().rungs if rung.mends is not None and "no-se" in rung.mends]


def test_asking_for_it_changes_no_other_key() -> None:
    before = {step.id: step.key for step in plan(resolved(recipe(), candidates=OFFERED)).steps}
    after = {step.id: step.key for step in planned().steps}
    assert before == {name: key for name, key in after.items() if name in before}


def test_no_payload_of_an_unchanged_candidate_says_surgery() -> None:
    for step in plan(resolved(recipe(), candidates=OFFERED)).facts()["steps"]:
        assert "surgery" not in str(step["payload"])


def test_another_surgery_is_another_training() -> None:
    keys = {planned(**each).step("surgery").key for each in (REMOVED, {**REMOVED, "epochs": 3}, {"activation": "relu6"})}  # type: ignore[union-attr]
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("arch", "asked", "has"),
    [
        ("mobilenet-v3-small", {"activation": "hard-swish"}, "hard-swish and ReLU, and squeeze-excite"),
        ("resnet-18", {"activation": "relu6"}, "ReLU, and no squeeze-excite"),
        ("mobilenet-v2", {"squeeze_excite": "remove"}, "ReLU6, and no squeeze-excite"),
        ("efficientnet-lite0", {"activation": "relu6", "squeeze_excite": "remove"}, "ReLU6, and no squeeze-excite"),
    ],
)
def test_a_network_that_lacks_it_is_refused_with_what_it_has(arch: str, asked: dict[str, Any], has: str) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_TO_REPLACE.made):
        require_something_to_replace(recipe(arch, **asked), arch_named(arch))


def test_a_network_that_has_it_is_not() -> None:
    require_something_to_replace(recipe(activation="relu6", squeeze_excite="remove"), arch_named("efficientnet-b0"))
    require_something_to_replace(recipe(squeeze_excite="remove"), arch_named("mobilenet-v3-large"))
    require_something_to_replace(recipe(), arch_named("resnet-18"))


def test_a_custom_model_or_no_training_images_say_why() -> None:
    empty = summary().model_copy(update={"counts": {**summary().counts, "train": 0}})
    assert surgery_unavailable(recipe(), empty) == Unavailable(
        why="there are no training images, and a changed network has to be retrained", command="edgecnn data inspect demo"
    )
    custom = Recipe.model_validate({"model": {"onnx": "mine.onnx"}, "surgery": REMOVED})
    assert surgery_unavailable(custom, summary()) == Unavailable(
        why="a custom model is a fixed graph; only networks of the catalogue allow surgery",
        command="edgecnn list archs",
    )
    assert surgery_unavailable(recipe(), summary()) is None


def test_instead_all_candidates_are_of_the_changed_network_and_its_training_is_the_trunks_last_step() -> None:
    asked = recipe(**REMOVED, instead=True)
    assert surgery_candidates(OFFERED, asked) == ()
    found = plan(resolved(asked, candidates=OFFERED))
    beside = plan(resolved(recipe(**REMOVED), candidates=(*OFFERED, *surgery_candidates(OFFERED, recipe(**REMOVED)))))
    exported, learned = found.step("export"), beside.step("surgery")
    assert exported is not None
    assert learned is not None
    assert (exported.stage.kind, exported.key) == ("surgery", learned.key)
    assert {step.stage.inputs["model"] for step in found.steps if step.stage.kind == "quantize"} == {exported.key}
    assert aware_unavailable(asked, summary()) is not None


def test_instead_of_nothing_is_refused() -> None:
    with pytest.raises(
        EdgecnnError,
        match=r"surgery.activation and surgery.squeeze_excite are keep, and surgery.pruned is 0",
        check=SURGERY_OF_NOTHING.made,
    ):
        require_something_to_replace(recipe(instead=True), arch_named("resnet-18"))


def test_instead_where_no_network_can_learn_is_refused() -> None:
    empty = summary().model_copy(update={"counts": {**summary().counts, "train": 0}})
    with pytest.raises(EdgecnnError, match="there are no training images", check=NOTHING_CHANGES_HERE.made):
        add_trained_candidates(OFFERED, {}, recipe(**REMOVED, instead=True), empty)


def test_channels_go_only_of_families_that_this_was_tried_of() -> None:
    require_something_to_replace(recipe(pruned=0.3), arch_named("resnet-18"))
    with pytest.raises(EdgecnnError, check=NOTHING_TO_PRUNE.made):
        require_something_to_replace(recipe(pruned=0.3), arch_named("densenet-121"))


def test_what_prunes_is_in_the_key_only_where_it_prunes() -> None:
    payloads = [planned(**each).step("surgery").stage.payload(VERSIONS) for each in (REMOVED, {"pruned": 0.3})]  # type: ignore[union-attr]
    assert ["torch-pruning" in str(each) for each in payloads] == [False, True]


@pytest.mark.parametrize(("pruned", "trained", "epochs", "rate"), [(0.0, 8, 4, 1e-4), (0.3, 8, 12, 3e-3), (0.3, 2, 4, 3e-3)])
def test_channels_that_are_gone_are_learned_anew_for_longer_and_faster(
    pruned: float, trained: int, epochs: int, rate: float
) -> None:
    found = completed_surgery(SurgeryChoice(pruned=pruned), trained)
    assert (found.epochs, found.learning_rate) == (epochs, rate)
    stated = SurgeryChoice(pruned=pruned, epochs=7, learning_rate=0.5)
    assert completed_surgery(stated, trained) == stated


@pytest.mark.parametrize(("stated", "filled", "batch_size"), [(None, 8, 64), (None, 256, 256), (16, 16, 16)])
def test_surgery_has_no_smaller_batches_than_usual_unless_they_are_stated(
    stated: int | None, filled: int, batch_size: int
) -> None:
    asked = recipe(**REMOVED)
    asked = asked.model_copy(update={"train": asked.train.model_copy(update={"batch_size": stated})})
    completed = asked.model_copy(update={"train": asked.train.model_copy(update={"batch_size": filled, "threads": 2})})
    settings = training_inputs_and_settings(resolved(asked).model_copy(update={"recipe": completed}), {})
    assert settings["batch_size"] == batch_size

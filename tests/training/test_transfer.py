"""How much is learned anew: the matrix, the probe, what is frozen, and the file that training reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import CLASS_TOO_SMALL
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.models.networks import build_network, head_of
from edgecnn.stages.learning import TransferStage
from edgecnn.training.schedule import freeze_all_but_last, layer_groups
from edgecnn.training.transfer import choose_transfer, probe
from edgecnn.values.training import TransferChoice
from tests.data.folders import Heard
from tests.slow_parameters import slowly
from tests.training.made import LITE, Given, fetched, files_of, make_given, stage

CLASSES = ("boot", "coat", "hat")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(tmp_path_factory.mktemp("fetched") / "weights")


@pytest.fixture(scope="module")
def decided(given: Given, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("transfer")
    made = stage(LITE)
    asked = TransferStage(arch=LITE, classes=10, threads=2, preprocessing=made.preprocessing)
    asked.make(given.roles(weights), out, Heard())
    return out


@pytest.mark.parametrize(
    ("per_class", "similarity", "chosen"),
    [(20, 0.9, "head"), (20, 0.4, "last"), (300, 0.9, "all"), (300, 0.1, "all"), (5000, 0.9, "all"), (5000, 0.1, "scratch")],
)
def test_the_corners_of_the_matrix(per_class: float, similarity: float, chosen: str) -> None:
    assert choose_transfer(per_class, similarity)[0] == chosen


def test_the_probe_finds_what_is_there_and_nothing_where_nothing_is() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 30)
    noise = random.normal(size=(90, 16)).astype(np.float32)
    apart = noise + 4 * np.eye(3, 16, dtype=np.float32)[labels]
    assert probe(apart, labels, CLASSES, 0).top1 > 0.95
    assert probe(noise, labels, CLASSES, 0).top1 < 0.55


def test_a_small_class_lowers_the_folds_and_a_single_image_is_refused() -> None:
    features = np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32)
    assert probe(features, np.array([0] * 5 + [1] * 4 + [2] * 3), CLASSES, 0).folds == 3
    with pytest.raises(EdgecnnError, check=CLASS_TOO_SMALL.made) as refusal:
        probe(features, np.array([0] * 6 + [1] * 5 + [2]), CLASSES, 0)
    assert refusal.value.ref == "class-too-small"


def test_the_file_says_the_choice_with_its_figures(decided: Path) -> None:
    choice = TransferChoice.model_validate_json((decided / "transfer.json").read_bytes())
    assert (choice.images, choice.classes, choice.folds) == (128, 10, 5)
    assert choice.chosen == choose_transfer(choice.images_per_class, choice.similarity)[0]
    assert 0.3 < choice.probe_top1 <= 1
    assert f"transfer auto is {choice.chosen}: {choice.images_per_class:,.0f} images per class" in choice.sentence
    assert f"reaches {choice.probe_top1:.1%} top-1 in 5-fold cross-validation" in choice.sentence


@pytest.mark.parametrize("chosen", ["head", "all", *slowly("last")])
def test_training_follows_the_file_to_the_bytes_of_the_forced_choice(
    decided: Path, given: Given, weights: Path, tmp_path: Path, chosen: str
) -> None:
    """It reads the features of the file's stage too, which are the same as its own."""
    roles = given.roles(weights)
    for name, asked, more in (("forced", chosen, {}), ("auto", "auto", {"transfer": _deciding(decided, tmp_path, chosen)})):
        (tmp_path / name).mkdir()
        stage(LITE, mode="finetune", epochs=1, transfer=asked).make({**roles, **more}, tmp_path / name, Heard())
    forced, auto = files_of(tmp_path / "forced"), files_of(tmp_path / "auto")
    assert forced["weights.safetensors"] == auto["weights.safetensors"]
    told = {name: json.loads((tmp_path / name / "history.json").read_text()) for name in ("forced", "auto")}
    assert [phase["name"] for phase in told["auto"]["phases"]] == ["head"] + ["finetune"] * (chosen != "head")
    assert told["forced"].get("transfer") == (None if chosen == "all" else f"transfer {chosen}, as asked")
    assert told["auto"]["transfer"].startswith("transfer auto is")


def test_the_last_groups_learn_and_the_first_stay(given: Given, weights: Path, tmp_path: Path) -> None:
    stage(LITE, mode="finetune", epochs=1, transfer="last", learning_rate=2e-2).make(given.roles(weights), tmp_path, Heard())
    made, began = load_file(tmp_path / "weights.safetensors"), load_file(weights / "weights.safetensors")
    told = json.loads((tmp_path / "history.json").read_text())
    assert [phase["name"] for phase in told["phases"]] == ["head", "finetune"]
    assert torch.equal(made["features.0.0.weight"], _of(began, "features.0.0.weight", weights))
    learned = any(not torch.equal(made[name], _of(began, name, weights)) for name in made if name.startswith("features.17."))
    assert learned == (told["best"]["phase"] == "finetune")


def test_auto_may_come_to_scratch_on_the_terms_of_scratch(decided: Path, given: Given, weights: Path, tmp_path: Path) -> None:
    terms = {"epochs": 1, "learning_rate": 4e-3, "augment": [{"kind": "flip"}], "batch_size": 32, "label_smoothing": 0.1}
    roles = {**given.roles(weights), "transfer": _deciding(decided, tmp_path, "scratch")}
    out = tmp_path / "out"
    out.mkdir()
    stage("efficientnet-lite0", mode="finetune", epochs=2, transfer="auto", otherwise=terms).make(roles, out, Heard())
    told = json.loads((out / "history.json").read_text())
    assert [(phase["name"], len(phase["epochs"])) for phase in told["phases"]] == [("scratch", 1)]
    assert told["initial"]["kind"] == "random"


def test_where_layers_were_lost_all_is_trained_as_what_inherits(
    decided: Path, given: Given, weights: Path, tmp_path: Path
) -> None:
    terms = {"epochs": 1, "learning_rate": 4e-3, "augment": [{"kind": "flip"}], "batch_size": 32, "label_smoothing": 0.1}
    roles = given.roles(weights)
    settings = {"forced": {"mode": "inherit", **terms}, "auto": {"mode": "finetune", "transfer": "auto", "relearned": terms}}
    (tmp_path / "probe").mkdir()  # without features, which are those of the unscaled network
    (tmp_path / "probe" / "transfer.json").write_bytes((_deciding(decided, tmp_path, "all") / "transfer.json").read_bytes())
    for name, asked in settings.items():
        (tmp_path / name).mkdir()
        more = {"transfer": tmp_path / "probe"} if name == "auto" else {}
        stage(f"{LITE}-d0.5-w0.5", **asked).make({**roles, **more}, tmp_path / name, Heard())
    forced, auto = files_of(tmp_path / "forced"), files_of(tmp_path / "auto")
    assert forced["weights.safetensors"] == auto["weights.safetensors"]
    told = json.loads((tmp_path / "auto" / "history.json").read_text())
    assert told["inheritance"]["inherited"] > 0 and told["transfer"].startswith("transfer auto is")


@pytest.mark.parametrize("arch", sorted({spec.family: spec.name for spec in all_archs()}.values()))
def test_every_family_has_groups_that_hold_each_parameter_once(arch: str) -> None:
    spec = arch_named(arch)
    with torch.device("meta"):
        network = build_network(spec, 10)
    head = head_of(network, spec)
    beside = [network.get_submodule(name) for name in spec.auxiliary.heads] if spec.auxiliary else []
    groups = layer_groups(network, head, beside)
    inside = [parameter for module in (*groups, head) for parameter in module.parameters()]
    assert len(groups) >= 3
    left_off = [name for name, parameter in network.named_parameters() if id(parameter) not in set(map(id, inside))]
    assert len({id(each) for each in inside}) == len(inside)
    assert bool(left_off) == bool(beside), "an auxiliary head is no group that learns"
    learning = freeze_all_but_last(network, head, beside)
    assert 0 < learning < len(groups)
    assert [all(p.requires_grad for p in g.parameters()) for g in groups] == [False] * (len(groups) - learning) + [
        True
    ] * learning


def _deciding(decided: Path, tmp_path: Path, chosen: str) -> Path:
    """The artifact with another choice, and links to its features."""
    folder = tmp_path / f"decided-{chosen}"
    folder.mkdir()
    for file in decided.glob("features-*"):
        (folder / file.name).symlink_to(file)
    facts = json.loads((decided / "transfer.json").read_text())
    (folder / "transfer.json").write_text(json.dumps({**facts, "chosen": chosen}))
    return folder


def _of(began: dict[str, torch.Tensor], name: str, weights: Path) -> torch.Tensor:
    from edgecnn.models.networks import read_weights

    return began[name] if name in began else read_weights(arch_named(LITE), weights / "weights.safetensors")[name]

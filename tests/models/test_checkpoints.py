"""A user's own state dict, as training programs leave it: unwrapped and said, or refused with the network that it is of."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import (
    WEIGHTS_AMBIGUOUS,
    WEIGHTS_HOLD_OBJECTS,
    WEIGHTS_UNREADABLE,
    WeightsDoNotFit,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import archs_that_fit, build_network, load_trained, unwrapped_weights
from edgecnn.stages.weights import FetchStage
from edgecnn.store.disk import sha256_of
from edgecnn.values.stage import Key
from tests.stages.test_fetch import Heard

SMALL = arch_named("mobilenet-v3-small")
State = Mapping[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return build_network(SMALL, 4).state_dict()


def before(beginning: str, state: State) -> dict[str, Tensor]:
    return {beginning + name: tensor for name, tensor in state.items()}


WRAPPED: dict[str, tuple[Callable[[State], Any], tuple[str, ...]]] = {
    "bare": (lambda state: state, ()),
    "DataParallel": (lambda state: before("module.", state), ("names without 'module.'",)),
    "compiled": (lambda state: before("_orig_mod.module.", state), ("names without '_orig_mod.module.'",)),
    "Lightning": (
        lambda state: {"epoch": 3, "state_dict": before("model.", state), "optimizer_states": []},
        ("its entry 'state_dict'", "names without 'model.'"),
    ),
    "a usual loop's": (
        lambda state: {"model_state_dict": state, "loss": 0.1, "optimizer_state_dict": {"state": {}}},
        ("its entry 'model_state_dict'",),
    ),
    "weights before their average": (
        lambda state: {"model": state, "model_ema": {k: v * 0 for k, v in state.items()}},
        ("its entry 'model'",),
    ),
    "a module of one's own": (lambda state: before("encoder.body.", state), ("names without 'encoder.body.'",)),
    "tables of one's own": (
        lambda state: {"run": {"best": before("module.", state)}, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}},
        ("its entry 'run'", "its entry 'best'", "names without 'module.'"),
    ),
    "a loss next to it": (
        lambda state: {"state_dict": {**before("backbone.", state), "loss.weight": torch.zeros(4)}},
        ("its entry 'state_dict'", "names without 'backbone.'", "1 tensor of other modules skipped (loss.weight)"),
    ),
    "arguments next to it": (
        lambda state: {"model": state, "args": Namespace(lr=0.1, out=Path("runs"), data=PurePosixPath("data"))},
        ("its entry 'model'",),
    ),
    "an average alone": (
        lambda state: {"model_ema": {"n_averaged": torch.tensor(7), **before("module.", state)}},
        ("its entry 'model_ema'", "names without 'module.'"),
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_around_the_tensors_is_taken_off_and_said(name: str, state: State, tmp_path: Path) -> None:
    wrap, message = WRAPPED[name]
    torch.save(wrap(state), tmp_path / "mine.pth")
    weights = unwrapped_weights(SMALL, tmp_path / "mine.pth")
    assert weights.removed == message
    assert list(weights.tensors) == list(state) and all(torch.equal(weights.tensors[key], state[key]) for key in state)


def test_fetch_says_and_keeps_how_a_file_was_read(state: State, tmp_path: Path) -> None:
    torch.save({"state_dict": before("module.", state)}, tmp_path / "mine.pth")
    (out := tmp_path / "out").mkdir()
    heard = Heard()
    planned = Key(sha256_of(tmp_path / "mine.pth"))
    stage = FetchStage(arch=SMALL.name, origin="file", inputs={"weights_file": planned})
    stage.make({"weights_file": tmp_path / "mine.pth"}, out, heard)
    facts = json.loads((out / "weights.json").read_text())
    assert facts["classes"] == 4 and facts["read_as"] == ["its entry 'state_dict'", "names without 'module.'"]
    assert heard.notes == ["mine.pth: read as its entry 'state_dict', names without 'module.'"]


def test_half_precision_becomes_a_network_in_single(state: State, tmp_path: Path) -> None:
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(halves, tmp_path / "mine.safetensors")
    network = load_trained(SMALL, 4, tmp_path / "mine.safetensors")
    weight = network.state_dict()[f"{SMALL.head}.weight"]
    assert weight.dtype == torch.float32 and torch.equal(weight, halves[f"{SMALL.head}.weight"].float())


def test_another_networks_tensors_name_the_network_that_they_are_of(state: State, tmp_path: Path) -> None:
    torch.save(before("module.", state), tmp_path / "mine.pth")
    with pytest.raises(WeightsDoNotFit) as caught:
        unwrapped_weights(arch_named("resnet-18"), tmp_path / "mine.pth")
    assert "mine.pth does not contain the weights of resnet-18: it lacks conv1.weight, bn1.weight, " in caught.value.line()
    assert "— pass --arch mobilenet-v3-small, which has exactly these tensors [weights-do-not-fit]" in caught.value.line()


def test_tensors_that_the_network_lacks_are_listed_next_to_those_that_it_lacks(state: State, tmp_path: Path) -> None:
    held = {name: tensor for name, tensor in state.items() if name != f"{SMALL.head}.bias"}
    torch.save({**held, "cbam.weight": torch.zeros(3), "cbam.bias": torch.zeros(3)}, tmp_path / "mine.pth")
    with pytest.raises(WeightsDoNotFit) as caught:
        unwrapped_weights(SMALL, tmp_path / "mine.pth")
    assert f"it lacks {SMALL.head}.bias; it has tensors that the network lacks, cbam.weight, cbam.bias — " in caught.value.line()


def test_paths_of_another_system_touch_no_file_system(state: State, tmp_path: Path) -> None:
    """Windows' paths cannot be made here, and Python 3.13 pickles paths under another name."""
    torch.save({"model": state, "out": PurePosixPath("a/b")}, tmp_path / "mine.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "mine.pth").read_bytes()
    for name in (b"cpathlib\nWindowsPath\n", b"cpathlib._local\nPosixPath\n"):
        (tmp_path / "mine.pth").write_bytes(content.replace(b"cpathlib\nPurePosixPath\n", name))
        assert list(unwrapped_weights(SMALL, tmp_path / "mine.pth").tensors) == list(state)


def test_tensors_of_no_network_here_say_that_the_whole_can_be_given(tmp_path: Path) -> None:
    torch.save({"conv_stem.weight": torch.zeros(16, 3, 3, 3), "classifier.bias": torch.zeros(4)}, tmp_path / "timm.pth")
    with pytest.raises(WeightsDoNotFit):
        unwrapped_weights(SMALL, tmp_path / "timm.pth")


def test_variants_of_one_size_are_told_apart(state: State) -> None:
    for name in ("resnet-34", "densenet-121", "googlenet"):
        assert archs_that_fit(build_network(arch_named(name), 7).state_dict()) == (name,)
    assert archs_that_fit({name: tensor for name, tensor in state.items() if name != f"{SMALL.head}.bias"}) == ()


def test_a_whole_module_and_a_program_are_refused(tmp_path: Path) -> None:
    torch.save({"model": build_network(SMALL, 4)}, tmp_path / "whole.pth")
    with pytest.raises(EdgecnnError, match=r"torch.save\(model.state_dict\(\), FILE\)", check=WEIGHTS_HOLD_OBJECTS.made):
        unwrapped_weights(SMALL, tmp_path / "whole.pth")
    from tests.graph.torch_files import Classifier, exported, scripted

    for path in (exported(Classifier(), tmp_path / "a.pt2"), scripted(Classifier(), tmp_path / "a.pt")):
        with pytest.raises(EdgecnnError) as caught:
            unwrapped_weights(SMALL, path)
        assert "program" in caught.value.line() and "--model FILE" in caught.value.line()


def test_a_table_that_holds_itself_many_times_is_looked_at_once(tmp_path: Path) -> None:
    table: dict[str, object] = {}
    table.update({f"a{number}": table for number in range(3000)})
    torch.save(table, tmp_path / "mine.pth")
    with pytest.raises(EdgecnnError, match="it contains something other than a table of tensors", check=WEIGHTS_UNREADABLE.made):
        unwrapped_weights(SMALL, tmp_path / "mine.pth")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state, other: {"grads": other, "params": state},
        lambda state, other: {**before("ema_model.", other), **before("model.", state)},
        lambda state, other: {"best_ema": other, "best": state},
    ],
)
def test_usual_names_come_before_others_and_averages_last(tmp_path: Path, state: State, wrap: Any) -> None:
    torch.save(wrap(state, {name: tensor * 0 for name, tensor in state.items()}), tmp_path / "mine.pth")
    tensors = unwrapped_weights(SMALL, tmp_path / "mine.pth").tensors
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state.items())


def test_sets_of_weights_that_fit_equally_are_named(tmp_path: Path, state: State) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"state_dict": {**before("teacher.", state), **before("student.", state)}}, path)
    with pytest.raises(EdgecnnError, check=WEIGHTS_AMBIGUOUS.made) as caught:
        unwrapped_weights(SMALL, path)
    assert caught.value.line() == (
        f"{path} contains several sets of weights that fit: state_dict.teacher, state_dict.student have the same tensors — "
        "where the file was made, save only one set with torch.save(model.state_dict(), FILE) [weights-ambiguous]"
    )
    torch.save({"best": state, "last": dict(state)}, path)
    with pytest.raises(EdgecnnError, match="best, last have the same tensors", check=WEIGHTS_AMBIGUOUS.made):
        unwrapped_weights(SMALL, path)

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import WEIGHTS_HOLD_OBJECTS, WEIGHTS_UNREADABLE, WeightsDoNotFit
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, head_of, load_trained, read_state, read_weights
from tests.models.made import saved_network

SMALL = arch_named("mobilenet-v3-small")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_weights_come_back_from_either_format(tmp_path: Path, name: str) -> None:
    saved = saved_network(SMALL, tmp_path / name, classes=5, seed=3)
    network = load_trained(SMALL, 5, tmp_path / name, seed=4)
    assert all(torch.equal(tensor, saved[key]) for key, tensor in network.state_dict().items())


def test_a_wrapped_state_is_unwrapped(tmp_path: Path) -> None:
    state = build_network(SMALL, 5).state_dict()
    torch.save({"model": state, "epoch": 3}, tmp_path / "a.pth")
    assert read_state(tmp_path / "a.pth").keys() == state.keys()


def test_the_head_may_have_any_number_of_classes(tmp_path: Path) -> None:
    saved_network(SMALL, tmp_path / "a.safetensors", classes=17)
    assert read_weights(SMALL, tmp_path / "a.safetensors")[f"{SMALL.head}.bias"].shape == (17,)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, keep: float) -> None:
    saved_network(SMALL, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(EdgecnnError, match=name, check=WEIGHTS_UNREADABLE.made):
        read_weights(SMALL, tmp_path / name)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(build_network(SMALL, 5), tmp_path / "a.pth")
    with pytest.raises(
        EdgecnnError, match=r"a\.pth is refused: it contains Python objects other than tensors", check=WEIGHTS_HOLD_OBJECTS.made
    ):
        read_weights(SMALL, tmp_path / "a.pth")


def test_text_is_no_weights_file(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("not weights\n")
    with pytest.raises(EdgecnnError, match="a.pth", check=WEIGHTS_UNREADABLE.made):
        read_weights(SMALL, tmp_path / "a.pth")


def test_weights_of_another_network_are_named_tensor_by_tensor(tmp_path: Path) -> None:
    saved_network(SMALL, tmp_path / "a.pth")
    with pytest.raises(WeightsDoNotFit, match=r"resnet-18: it lacks conv1\.weight, .* and \d+ more"):
        read_weights(arch_named("resnet-18"), tmp_path / "a.pth")


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    state = build_network(SMALL, 5).state_dict()
    state["features.0.0.weight"] = torch.zeros(8, 3, 3, 3)
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(WeightsDoNotFit, match=r"features\.0\.0\.weight is \(8, 3, 3, 3\), the network's is \(16, 3, 3, 3\)"):
        read_weights(SMALL, tmp_path / "a.safetensors")


def test_batch_norm_counters_may_be_absent(tmp_path: Path) -> None:
    state = {k: v for k, v in build_network(SMALL, 5).state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "a.safetensors")
    load_trained(SMALL, 5, tmp_path / "a.safetensors")


def test_the_seed_decides_every_weight_and_nothing_else_moves() -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    first, same, other = (build_network(SMALL, 5, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["features.0.0.weight"], other["features.0.0.weight"])
    assert not torch.equal(first[f"{SMALL.head}.weight"], other[f"{SMALL.head}.weight"])


def test_a_new_head_gives_every_class_nearly_the_same_chance() -> None:
    head = head_of(build_network(SMALL, 200), SMALL)
    assert float(head.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert not head.bias.detach().any()

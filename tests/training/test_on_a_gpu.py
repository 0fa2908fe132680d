"""Training on a GPU: what it learns, and that the same bits come again. What prepares its batches runs anywhere."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import BATCH_TOO_LARGE, NO_GPU_TO_TRAIN_ON, NOTHING_TO_SHARE
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.planning.training import fill_machine, learning_device, previous_training_device
from edgecnn.runner.machine.environment import available_cores
from edgecnn.training.batches import map_ahead
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.process import _collecting_warnings as repeatable_of
from edgecnn.training.process import seeded_generator
from edgecnn.training.settings import GPU_THREADS
from edgecnn.values.augmentation import Crop, Cutmix, Flip, Mixup, RandAugment
from edgecnn.values.recipe import Recipe, TrainChoice
from edgecnn.values.resolved import DesktopGpu
from tests.data.folders import Heard
from tests.devices.test_desktop_gpu import TORCH, local_gpu
from tests.stages.killed import killed_when
from tests.stages.test_train import command, history
from tests.training.made import LENET, SMALL, Given, files_of, losses, make_given, stage

_skipped = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU that torch can use")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"))


def trained(out: Path, roles: dict[str, Path], arch: str = SMALL, **changes: Any) -> Path:
    out.mkdir()
    stage(arch, **changes).make(roles, out, Heard())
    return out


def needs_a_gpu(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.full(_skipped(test))


def best(out: Path) -> float:
    return float(history(out)["best"]["validation_top1"])


def starting(folder: Path, arch: str) -> Path:
    """Weights as fetch leaves them, of a seed."""
    folder.mkdir()
    spec = arch_named(arch)
    write_tensors(build_network(spec, spec.classes, seed=5).state_dict(), folder / "weights.safetensors")
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    (folder / "weights.json").write_text(json.dumps({"sha256": digest, "source": "a seed"}))
    return folder


def gpu(**versions: str) -> DesktopGpu | None:
    return local_gpu(["NVIDIA H200"], {**TORCH, **versions})


def test_a_gpu_that_torch_can_use_trains_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert learning_device(TrainChoice(), gpu()) == "gpu"
    assert learning_device(TrainChoice(device="cpu"), gpu()) == "cpu"
    assert learning_device(TrainChoice(), None) == "cpu"
    assert learning_device(TrainChoice(), gpu(torch="2.15.0+cpu")) == "cpu"
    assert learning_device(TrainChoice(processes=2), gpu()) == "cpu", "what processes share is the processors"
    assert learning_device(TrainChoice(), gpu(), "cpu") == learning_device(TrainChoice(device="cpu"), None, "gpu") == "cpu"
    assert learning_device(TrainChoice(), None, "gpu") == "gpu", "what was built with a GPU is judged without one"
    with pytest.raises(EdgecnnError, check=NOTHING_TO_SHARE.made) as refusal:
        learning_device(TrainChoice(device="gpu", processes=2), gpu())
    assert refusal.value.ref == "nothing-to-share"


def test_a_gpu_that_is_asked_for_in_vain_is_said_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    absent = "no driver lists a GPU, or torch is not installed"
    for found, why in ((None, absent), (gpu(torch="2.15.0+cpu"), "torch 2.15.0+cpu was built without CUDA")):
        with pytest.raises(EdgecnnError, check=NO_GPU_TO_TRAIN_ON.made) as refusal:
            learning_device(TrainChoice(device="gpu"), found)
        assert (refusal.value.ref, refusal.value.fields["because"]) == ("no-gpu-to-train-on", f"{why}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_torch_does_not_find_after_all_is_one_line(given: Given, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match="torch", check=NO_GPU_TO_TRAIN_ON.made):
        trained(tmp_path / "out", given.roles(), device="gpu")


def test_what_trained_for_a_folder_s_last_build_is_read_from_its_plan(tmp_path: Path) -> None:
    plan, train = tmp_path / "plan.json", dict[str, object](epochs=1)
    assert previous_training_device(plan) is None
    for said, found in (({}, "cpu"), ({"device": "gpu"}, "gpu"), ({"device": None}, None), ({"device": "moon"}, None)):
        plan.write_text(json.dumps({"resolved": {"recipe": {"train": {**train, **said}}}}))
        assert previous_training_device(plan) == found, "before there was a choice the processor trained"
    plan.write_text("{")
    assert previous_training_device(plan) is None


@pytest.mark.parametrize(
    ("stated", "before", "variable", "threads"),
    [
        (7, 5, "3", 7),
        (None, 5, "3", 5),
        (None, None, "3", 3),
        (None, 0, "3", 3),
        (None, None, "4,2", 4),
        (None, None, " 4 , 2", 4),
        (None, None, "", available_cores()),
        (None, None, "0", available_cores()),
        (None, None, "many", available_cores()),
    ],
)
def test_threads_are_those_that_are_stated_or_of_the_last_build_or_that_this_process_may_use(
    stated: int | None, before: int | None, variable: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    plan = tmp_path / "plan.json"
    if before is not None:
        plan.write_text(json.dumps({"resolved": {"recipe": {"train": {"device": "cpu", "threads": before}}}}))
    recipe = Recipe.model_validate({"model": {"arch": "lenet-5"}, "train": {"threads": stated}})
    assert fill_machine(recipe, None, plan, Heard()).train.threads == threads


def _planned(folder: Path, **train: object) -> Path:
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"resolved": {"recipe": {"train": train}}}))
    return plan


@pytest.mark.parametrize(("stated", "threads"), [(None, GPU_THREADS), (7, 7)])
def test_a_gpu_trains_with_the_same_threads_on_every_machine(
    stated: int | None, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.model_validate({"model": {"arch": "lenet-5"}, "train": {"threads": stated}})
    for variable in ("2", "16", ""):
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
        train = fill_machine(recipe, gpu(), tmp_path / "none.json", Heard()).train
        assert (train.device, train.threads) == ("gpu", threads)


def test_the_threads_of_the_last_build_count_on_the_device_that_they_trained_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    recipe, plan = Recipe.model_validate({"model": {"arch": "lenet-5"}, "train": {"device": "gpu"}}), tmp_path / "plan.json"
    for device, threads in (("cpu", GPU_THREADS), ("gpu", 16)):
        _planned(tmp_path, device=device, threads=16)
        assert fill_machine(recipe, gpu(), plan, Heard()).train.threads == threads
    on_cpu = Recipe.model_validate({"model": {"arch": "lenet-5"}, "train": {"device": "cpu"}})
    assert fill_machine(on_cpu, None, plan, Heard()).train.threads == 3


@pytest.mark.parametrize(
    ("stated", "device", "variable", "numbers"),
    [
        (None, "cpu", "2", ("2", "16")),
        (None, "cpu", "2,1", ("2", "16")),
        (None, "cpu", "16", None),
        (None, "cpu", "", None),
        (2, "cpu", "2", None),
        (None, "gpu", "2", None),
    ],
)
def test_an_ignored_number_of_threads_is_noted_with_the_setting_that_changes_it(
    stated: int | None,
    device: str,
    variable: str,
    numbers: tuple[str, str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    heard, plan = Heard(), _planned(tmp_path, device=device, threads=16)
    recipe = Recipe.model_validate({"model": {"arch": "lenet-5"}, "train": {"threads": stated}})
    fill_machine(recipe, gpu() if device == "gpu" else None, plan, heard)
    assert len(heard.notes) == (numbers is not None)
    if numbers is not None:
        assert f"OMP_NUM_THREADS={numbers[0]} is ignored" in heard.notes[0] and f"{numbers[1]} threads" in heard.notes[0]
        assert f"--set train.threads={numbers[0]} " in heard.notes[0]


@pytest.mark.parametrize("nothing", [{"onnx": "model.onnx"}, {"arch": "lenet-5", "keep_head": True}])
def test_where_nothing_is_trained_no_gpu_is_missed_and_what_was_said_stays(nothing: dict[str, object], tmp_path: Path) -> None:
    for said in ({}, {"device": "gpu"}):
        recipe = Recipe.model_validate({"model": nothing, "train": said})
        assert fill_machine(recipe, None, tmp_path / "plan.json", Heard()) == recipe


def test_operations_that_do_not_repeat_themselves_are_named_and_other_warnings_stay_warnings() -> None:
    found = set[str]()
    with pytest.warns(UserWarning, match="something else") as heard, repeatable_of(found):
        warnings.warn("adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert found == {"adaptive_avg_pool2d_backward_cuda"}
    assert len(heard) == 1


def test_only_a_training_on_a_gpu_has_another_key() -> None:
    assert "device" not in stage().model_dump()
    assert stage(device="gpu").model_dump()["device"] == "gpu"


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_order_whoever_is_ready_first_and_not_more_than_a_few_ahead(threads: int) -> None:
    begun, turn = list[int](), threading.Barrier(min(threads, 2))

    def made(number: int) -> tuple[int, float]:
        begun.append(number)
        if number < turn.parties:
            turn.wait(10)  # at work at the same time
        with seeded_generator(number):
            return number, float(torch.rand(()))

    state = torch.get_rng_state()
    taken = []
    for each in map_ahead(made, range(7), threads):
        taken.append(each)
        assert len(begun) <= len(taken) + threads
    torch.testing.assert_close(torch.get_rng_state(), state)
    assert [number for number, _ in taken] == list(range(7))
    assert [drawn for _, drawn in taken] == [float(torch.rand((), generator=torch.Generator().manual_seed(n))) for n in range(7)]
    assert not list(map_ahead(made, [], threads))


def test_a_batch_that_cannot_be_read_ends_an_epoch() -> None:
    def made(number: int) -> int:
        if number == 4:
            raise OSError("gone")
        return number

    got = map_ahead(made, range(9), 2)
    assert [next(got) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(OSError, match="gone"):
        next(got)


@needs_a_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_learns_what_the_processor_learns(given: Given, tmp_path: Path, precision: str) -> None:
    here = trained(tmp_path / "cpu", given.roles(), LENET, epochs=8, precision=precision)
    there = trained(tmp_path / "gpu", given.roles(), LENET, epochs=8, precision=precision, device="gpu")
    assert losses(there) == pytest.approx(losses(here), rel=0.02 if precision == "fp32" else 0.1)
    assert best(there) == pytest.approx(best(here), abs=0.07)
    assert history(there)["gpu"] == torch.cuda.get_device_name(0)
    assert "gpu" not in history(here)
    assert {tensor.device.type for tensor in load_file(there / "weights.safetensors").values()} == {"cpu"}


MIXED = (Crop(area=(0.6, 1.0)), Flip(), RandAugment(), Mixup(p=0.5), Cutmix(p=0.5))


@needs_a_gpu
@pytest.mark.parametrize("arch", [SMALL, "resnet-18", "efficientnet-b0", "densenet-121"])
def test_the_same_bits_come_again_and_after_a_kill(given: Given, tmp_path: Path, arch: str) -> None:
    asked = stage(arch, device="gpu", augment=MIXED, balance="weights")
    first = trained(tmp_path / "first", given.roles(), arch, device="gpu", augment=MIXED, balance="weights")
    killed = tmp_path / "killed"
    killed.mkdir()
    killed_when("resume/scratch.checkpoint.safetensors", command(asked, given.roles(), killed), killed)
    asked.make(given.roles(), killed, Heard())
    assert files_of(killed) == files_of(first)


@needs_a_gpu
@pytest.mark.parametrize("arch", ["alexnet", "vgg-11", "googlenet", "inception-v3", "mobilenet-v3-large", "shufflenet-v2-x1.0"])
def test_every_way_of_building_a_network_has_its_backward_pass_there(tmp_path: Path, arch: str) -> None:
    size_px = 75 if arch == "inception-v3" else 64
    few = make_given(tmp_path, train=32, validation=16, size_px=size_px)
    out = trained(tmp_path / "out", few.roles(), arch, size_px=size_px, epochs=1, batch_size=16, device="gpu")
    assert history(out)["gpu"]


@needs_a_gpu
def test_frozen_features_and_their_head_are_those_of_the_processor(given: Given, tmp_path: Path) -> None:
    roles = given.roles(starting(tmp_path / "weights", SMALL))
    heads = {}
    for device in ("cpu", "gpu"):
        out = trained(tmp_path / device, roles, mode="finetune", transfer="head", epochs=0, device=device)
        heads[device] = losses(out)
    assert heads["gpu"] == pytest.approx(heads["cpu"], rel=1e-3)


@needs_a_gpu
def test_memory_that_a_gpu_has_not_is_said_before_it_is_asked_for(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (64 * 2**20, 64 * 2**20))
    with pytest.raises(EdgecnnError, match="the GPU has 64 free", check=BATCH_TOO_LARGE.made):
        trained(tmp_path / "out", given.roles(), "resnet-18", device="gpu", batch_size=128)


@needs_a_gpu
def test_memory_is_given_back_to_whoever_measures_next(given: Given, tmp_path: Path) -> None:
    before = torch.cuda.memory_reserved()
    trained(tmp_path / "out", given.roles(), device="gpu", epochs=1)
    assert torch.cuda.memory_reserved() <= before + 32 * 2**20

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgecnn.errors.base import error_again
from edgecnn.errors.training import (
    BatchTooLarge,
    BatchTooSmallToShare,
    ClassesDiffer,
    HeadNotFitting,
    NoDistributedTorch,
    NothingFromScratch,
    NothingInEpochs,
    NothingInPrecision,
    NothingToShare,
    NothingToTrainOn,
    NothingToTransfer,
    NothingToUnfreeze,
    ProcessesLost,
    TooManyProcesses,
    TrainingDiverged,
    WeightsNotWanted,
)

RATE = ("train.learning_rate", 2e-3)


def test_a_diverged_training_names_the_batch_and_what_is_kept() -> None:
    error = TrainingDiverged(phase="scratch", epoch=3, batch=17, kept="the state after epoch 2 is kept in /r/a", rate=RATE)
    assert error.line() == (
        "training diverged in phase scratch, epoch 3, batch 17: the loss or an answer after it is not a finite number;"
        " the state after epoch 2 is kept in /r/a — --set train.learning_rate=0.0007, a third of what it was [training-diverged]"
    )


def test_an_early_divergence_promises_no_checkpoint() -> None:
    error = TrainingDiverged(phase="scratch", epoch=0, batch=0, kept=None, rate=RATE)
    assert error.line() == (
        "training diverged in phase scratch, epoch 0, batch 0: the loss or an answer after it is not a finite number"
        " — --set train.learning_rate=0.0007, a third of what it was [training-diverged]"
    )


def test_a_training_with_int8_rounding_names_its_own_rate() -> None:
    error = TrainingDiverged(phase="aware", epoch=0, batch=2, kept=None, rate=("quantize.aware_learning_rate", 3e-5))
    assert error.hint == "--set quantize.aware_learning_rate=1e-05, a third of what it was"


def test_an_empty_role_is_named() -> None:
    assert NothingToTrainOn(role="train").line() == (
        "there is no image in the role train — add images, or lower [data] calibration_images and the shares "
        "[nothing-to-train-on]"
    )


def test_another_number_of_classes_means_that_the_plan_is_old() -> None:
    assert ClassesDiffer(planned=10, found=9).line() == (
        "the plan trains for 10 classes, the images have 9: the data changed after they were listed"
        " — run the same command again [classes-differ]"
    )


def test_nothing_can_be_kept_of_random_weights() -> None:
    why = "training starts from random weights, as asked"
    assert NothingToTransfer(arch="resnet-18", asked="head", why=why).line() == (
        "--transfer head keeps pretrained layers of resnet-18, and there are none: training starts from random weights, as asked"
        " — --transfer auto or scratch, or --weights with weights that can be had [nothing-to-transfer]"
    )


def test_weights_beside_scratch_are_a_contradiction() -> None:
    assert WeightsNotWanted(weights="mine.safetensors").line() == (
        "--transfer scratch keeps nothing of --weights mine.safetensors — leave one of them out [weights-not-wanted]"
    )


def test_a_fitted_head_names_what_it_does_not_go_with() -> None:
    error = HeadNotFitting(
        head="knn", beside="--transfer all", because="it is fitted on frozen features, so that nothing else learns"
    )
    assert error.line() == (
        "train.head=knn does not go with --transfer all: it is fitted on frozen features, so that nothing else learns"
        " — --set train.head=linear, or leave the other out [head-not-fitting]"
    )


def test_only_what_is_frozen_can_be_unfrozen() -> None:
    assert NothingToUnfreeze(beside="--transfer head", because="nothing but the head learns").line() == (
        "train.unfreeze=groups does not go with --transfer head: nothing but the head learns — leave one of them out"
        " [nothing-to-unfreeze]"
    )


def test_a_recipe_for_random_weights_needs_some() -> None:
    assert NothingFromScratch(recipe="modern").line() == (
        "train.scratch=modern would change nothing: it says how random weights are trained, and training begins from pretrained"
        " ones — leave it out, or --transfer scratch [nothing-from-scratch]"
    )


def test_epochs_need_a_network_that_learns() -> None:
    error = NothingInEpochs(epochs=7, beside="train.head=svm", instead="it is fitted in one step")
    assert error.line() == (
        "train.epochs=7 does not go with train.head=svm: these are passes of the whole network, of which the head alone learns;"
        " it is fitted in one step — leave one of them out; --set train.epochs=0 beside a recipe that states them"
        " [nothing-in-epochs]"
    )


def test_a_precision_without_steps_names_what_leaves_none() -> None:
    assert NothingInPrecision(precision="bf16", beside="--transfer head").line() == (
        "train.precision=bf16 does not go with --transfer head: it is that of the whole network's steps, and there are none"
        " — leave one of them out [nothing-in-precision]"
    )


def test_a_batch_that_does_not_fit_names_one_that_does() -> None:
    error = BatchTooLarge(batch=256, needed_mib=5712.4, room=("cpu", 4096), fits=160)
    assert error.line() == (
        "a batch of 256 images does not fit into memory: it takes 5,712 MiB at least, and this process may hold 4,096"
        " — --set train.batch_size=160 [batch-too-large]"
    )


def test_where_memory_ran_out_or_no_batch_fits_it_says_so() -> None:
    error = BatchTooLarge(batch=2, needed_mib=5712.4, room=("cpu", 4096), fits=1, ran_out=True)
    assert error.line() == (
        "a batch of 2 images does not fit into memory: memory ran out; it takes 5,712 MiB at least, and this process"
        " may hold 4,096 — --set model.resolution_px with a smaller one, or a machine with more memory [batch-too-large]"
    )


def test_a_batch_that_a_gpu_has_no_room_for_may_go_to_the_processor() -> None:
    error = BatchTooLarge(batch=256, needed_mib=5712.4, room=("gpu", 4096), fits=160)
    assert error.line() == (
        "a batch of 256 images does not fit into memory: it takes 5,712 MiB at least, and the GPU has 4,096 free — "
        "--set train.batch_size=160; or --set train.device=cpu [batch-too-large]"
    )


def test_processes_without_processors_are_refused() -> None:
    assert TooManyProcesses(asked=8, threads=2).line() == (
        "train.processes=8 asks for more processes than can work at once:"
        " training uses 2 threads (train.threads)"
        " — --set train.processes=2, or --set train.threads=8 [too-many-processes]"
    )


def test_a_batch_that_is_too_small_to_share_names_how_many_processes_it_feeds() -> None:
    assert BatchTooSmallToShare(processes=4, images=6, least=2).line() == (
        "a batch of 6 images is too small for train.processes=4: each process takes 2 of every batch at least"
        " — --set train.processes=3, or a larger train.batch_size [batch-too-small-to-share]"
    )


def test_processes_need_something_to_share() -> None:
    assert NothingToShare(processes=2, beside="--transfer head").line() == (
        "train.processes=2 does not go with --transfer head: processes share the training of the whole network, and there is none"
        " — leave one of them out [nothing-to-share]"
    )


def test_a_torch_without_its_distributed_part_is_named() -> None:
    assert NoDistributedTorch(version="2.15.0").line() == (
        "train.processes needs torch.distributed with gloo: torch 2.15.0 was built without"
        " — pip install --force-reinstall torch, or --set train.processes=1 [no-distributed-torch]"
    )


def test_lost_processes_say_what_the_last_one_said() -> None:
    error = ProcessesLost(processes=2, restarts=3, phase="scratch", said="exitcode  : -9 (pid: 7)")
    assert error.line() == (
        "one of 2 training processes was lost in phase scratch, and again after each of 3 new starts: exitcode  : -9 (pid: 7)"
        " — the same command goes on from the last finished epoch; fewer train.processes take less memory [processes-lost]"
    )


def test_an_error_of_another_process_is_the_same_error_here() -> None:
    error = TrainingDiverged(phase="scratch", epoch=3, batch=17, kept=None, rate=RATE)
    again = error_again(error.kept())
    assert type(again) is TrainingDiverged and again.line() == error.line()


def test_its_class_need_not_be_imported_here() -> None:
    kept = json.dumps(TrainingDiverged(phase="scratch", epoch=3, batch=17, kept=None, rate=RATE).kept())
    code = "import json, sys; from edgecnn.errors.base import error_again; print(repr(error_again(json.loads(sys.argv[1]))))"
    ended = subprocess.run([sys.executable, "-c", code, kept], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("TrainingDiverged('training diverged in phase scratch, epoch 3, batch 17")


@pytest.mark.parametrize("place", [{"class": "Path"}, {"class": "Gone"}])
def test_where_its_class_is_not_found_its_text_is_told(place: dict[str, str]) -> None:
    kept = TrainingDiverged(phase="scratch", epoch=3, batch=17, kept=None, rate=RATE).kept()
    with pytest.raises(LookupError, match="epoch 3, batch 17: the loss or an answer after it is not a finite number"):
        error_again({**kept, **place})

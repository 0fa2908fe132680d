from __future__ import annotations

from pathlib import Path

from edgecnn.errors.training import (
    BatchTooLarge,
    ClassesDiffer,
    HeadNotFitting,
    NothingToTrainOn,
    NothingToTransfer,
    NothingToUnfreeze,
    TrainingDiverged,
    WeightsNotWanted,
)


def test_a_diverged_training_names_the_batch_and_what_is_kept() -> None:
    error = TrainingDiverged(phase="scratch", epoch=3, batch=17, best=Path("/r/best.safetensors"))
    assert error.line() == (
        "training diverged in phase scratch, epoch 3, batch 17: the loss is not a finite number;"
        " the best checkpoint so far is kept in /r/best.safetensors"
        " — lower --set train.learning_rate, for instance to a third [training-diverged]"
    )


def test_an_early_divergence_promises_no_checkpoint() -> None:
    error = TrainingDiverged(phase="scratch", epoch=0, batch=0, best=None)
    assert error.line() == (
        "training diverged in phase scratch, epoch 0, batch 0: the loss is not a finite number"
        " — lower --set train.learning_rate, for instance to a third [training-diverged]"
    )


def test_a_training_with_int8_rounding_names_its_own_rate() -> None:
    error = TrainingDiverged(phase="aware", epoch=0, batch=2, best=None, setting="quantize.aware_learning_rate")
    assert error.hint == "lower --set quantize.aware_learning_rate, for instance to a third"


def test_an_empty_role_is_named() -> None:
    assert NothingToTrainOn(role="train").line() == (
        "there is no image in the role train — add images, or lower [data] calibrate_images and the shares [nothing-to-train-on]"
    )


def test_another_number_of_classes_means_that_the_plan_is_old() -> None:
    assert ClassesDiffer(planned=10, found=9).line() == (
        "the plan trains for 10 classes, the images have 9 — plan again: the data changed meanwhile [classes-differ]"
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


def test_a_batch_that_does_not_fit_names_one_that_does() -> None:
    error = BatchTooLarge(batch=256, needed_mib=5712.4, limit_mib=4096, fits=160)
    assert error.line() == (
        "a batch of 256 images does not fit into memory: it takes 5,712 MiB at least, and this process may hold 4,096"
        " — --set train.batch_size=160 [batch-too-large]"
    )


def test_where_memory_ran_out_or_no_batch_fits_it_says_so() -> None:
    error = BatchTooLarge(batch=2, needed_mib=5712.4, limit_mib=4096, fits=1, ran_out=True)
    assert error.line() == (
        "a batch of 2 images does not fit into memory: memory ran out; it takes 5,712 MiB at least, and this process"
        " may hold 4,096 — --set model.resolution_px with a smaller one, or a machine with more memory [batch-too-large]"
    )

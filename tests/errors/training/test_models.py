from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.graph import MergeDiffers
from edgecnn.errors.training import HeadNotAlone
from edgecnn.errors.weights import (
    NotAClassifier,
    ResolutionFixed,
    ResolutionTooLarge,
    ResolutionTooSmall,
    ShapeNotTaken,
    UnknownArch,
)


def test_an_unknown_arch_is_answered_with_the_nearest_and_the_list() -> None:
    error = UnknownArch(name="resnet18", nearest=("resnet-18", "resnet-101"))
    assert error.line() == (
        "no architecture is called 'resnet18' — did you mean resnet-18, resnet-101? "
        "`edgecnn list archs` shows them all [unknown-arch]"
    )
    assert error.exit_code == ExitCode.BAD_INPUT


def test_where_nothing_is_near_only_the_list_is_named() -> None:
    assert UnknownArch(name="x", nearest=()).line() == (
        "no architecture is called 'x' — `edgecnn list archs` shows them all [unknown-arch]"
    )


def test_too_small_an_image_is_answered_with_the_smallest() -> None:
    assert ResolutionTooSmall(arch="inception-v3", asked_px="64", least_px=75, taken_px="75").line() == (
        "inception-v3 cannot take images of 64 px: its layers shrink them to nothing; it takes 75 px a side and more — "
        "--set model.resolution_px=75, or leave it out [resolution-too-small]"
    )


def test_a_network_of_one_size_is_answered_with_it() -> None:
    assert ResolutionFixed(arch="timm:levit_128s.fb_dist_in1k", asked_px="64", only_px="224").line() == (
        "timm:levit_128s.fb_dist_in1k cannot take images of 64 px: its weights hold position embeddings for one size of images — "
        "--set model.resolution_px=224, or leave it out [resolution-fixed]"
    )


def test_what_tells_no_classes_is_refused_with_where_to_look() -> None:
    error = NotAClassifier(
        arch="timm:eva02_tiny_patch14_224.mim_in22k",
        because="it ends in features, and no layer of it tells classes",
        like="timm:eva02*",
    )
    assert error.line() == (
        "timm:eva02_tiny_patch14_224.mim_in22k is no classifier of photographs: it ends in features, and no layer of it tells "
        "classes — edgecnn list archs 'timm:eva02*' shows those of the kind that are [not-a-classifier]"
    )


def test_a_network_of_several_heads_is_answered_with_what_goes() -> None:
    assert HeadNotAlone(
        arch="timm:levit_128s.fb_dist_in1k", heads=("head.linear", "head_dist.linear"), asked="--transfer head"
    ).line() == (
        "--transfer head does not go with timm:levit_128s.fb_dist_in1k: its answer is that of several last layers together: "
        "head.linear, head_dist.linear — leave it out, so that the whole network learns, or --transfer last [head-not-alone]"
    )


def test_merged_branches_that_answer_otherwise_are_our_own_fault() -> None:
    error = MergeDiffers(network="ByobNet", off=0.5, allowed=0.001)
    assert error.line() == (
        "ByobNet with its branches merged differs by 0.5 in a logit, 0.001 is allowed: they are merged by the library that the "
        "network is of [merge-differs]"
    )
    assert error.exit_code == ExitCode.OWN_FAULT


def test_a_shape_that_a_network_has_no_answer_to_is_refused() -> None:
    assert ShapeNotTaken(arch="timm:tiny_vit_5m_224", asked_px="48x192").line() == (
        "timm:tiny_vit_5m_224 cannot take images of 48x192 px: its layers do not fit together on that shape — "
        "--set model.resolution_px with sides that are multiples of 32, or leave it out [shape-not-taken]"
    )


def test_images_that_no_training_takes_are_refused() -> None:
    assert ResolutionTooLarge(arch="resnet-18", asked_px="48x4000", most_px=2048).line() == (
        "resnet-18 is trained on images of 2048 px a side at most, and 48x4000 px is asked for — "
        "--set model.resolution_px=2048, or leave it out [resolution-too-large]"
    )

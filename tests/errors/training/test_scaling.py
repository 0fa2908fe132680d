from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.fit import (
    NothingToScale,
    ResolutionUnderStride,
    ScaleContradictsResolution,
    ScaleInvalid,
    ScaleLeavesNoChannel,
    ScaleOfAFile,
)


def test_a_text_that_is_no_scale_is_answered_with_two_that_are() -> None:
    error = ScaleInvalid(text="wdth=2", because="wdth is no key, the nearest is width")
    assert error.line() == (
        "--scale 'wdth=2' is no scale: wdth is no key, the nearest is width — "
        "--scale phi=1.5, or --scale depth=1.2,width=0.75,resolution=192 with any of the three [scale-invalid]"
    )
    assert error.exit_code == ExitCode.BAD_INPUT


def test_a_family_without_a_rule_names_those_with_one() -> None:
    assert NothingToScale(arch="vgg-16", families=("efficientnet", "resnet")).line() == (
        "vgg-16 cannot be scaled in depth and width: there are rules for efficientnet, resnet alone — "
        "name a network of one of these families in its place [nothing-to-scale]"
    )


def test_a_width_that_rounds_to_nothing_names_the_least_one() -> None:
    assert ScaleLeavesNoChannel(arch="mobilenet-v2", scale="width=0.2", width=0.2, narrowest=16).line() == (
        "--scale width=0.2 leaves mobilenet-v2 a layer without channels: 16 channels times 0.2 are 3.2, and the nearest multiple "
        "of 8 is 0 — --scale with width=0.25, the least, or a larger one [scale-leaves-no-channel]"
    )


def test_a_step_along_the_rule_that_is_too_small_is_answered_with_a_step() -> None:
    assert ResolutionUnderStride(arch="resnet-18", scale="phi=-9", resolution_px="20", small=True, stride=32).hint == (
        "--scale with resolution=32 or more in place of phi, or a larger phi"
    )


def test_an_input_smaller_than_the_stride_is_named() -> None:
    error = ResolutionUnderStride(arch="resnet-18", scale="resolution=16", resolution_px="16", small=True, stride=32)
    assert error.line() == (
        "--scale resolution=16 gives resnet-18 an input of 16 px: its layers shrink an image 32 times — "
        "--scale with resolution=32 or more [resolution-under-stride]"
    )


def test_an_input_that_no_recipe_takes_is_named() -> None:
    error = ResolutionUnderStride(arch="resnet-18", scale="phi=17", resolution_px="2408", small=False, stride=32)
    assert error.line() == (
        "--scale phi=17 gives resnet-18 an input of 2408 px: a recipe's resolution goes up to 2048 px — "
        "--scale with resolution=2048 or less in place of phi, or a smaller phi [resolution-under-stride]"
    )


def test_two_resolutions_are_a_contradiction() -> None:
    assert ScaleContradictsResolution(scale="phi=1", resolution_px="100").line() == (
        "--scale phi=1 says the resolution, and model.resolution_px = 100 says one too — "
        "leave one of them out, or give depth and width alone [scale-contradicts-resolution]"
    )


def test_a_file_has_the_sizes_that_it_has() -> None:
    assert ScaleOfAFile(onnx="mine.onnx").line() == (
        "mine.onnx cannot be scaled: a trained file has the sizes that it has — leave --scale out [scale-of-a-file]"
    )

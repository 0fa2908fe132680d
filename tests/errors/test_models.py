from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.weights import ResolutionTooSmall, UnknownArch


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
    assert ResolutionTooSmall(arch="inception-v3", asked_px=64, least_px=75).line() == (
        "inception-v3 cannot take images of 64 px: its layers shrink them to nothing; it takes 75 px and more — "
        "--set model.resolution_px=75, or leave it out [resolution-too-small]"
    )

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.fit import MemberQuantized, NetworkGone, NoMaps


def test_a_network_without_maps_is_named() -> None:
    assert NoMaps(network="mlp").line() == (
        "mlp has no maps to look at: no tensor behind a multiplying layer has channels, rows and columns of more than one "
        "position — convolutional networks have them, such as --arch resnet-18; nothing is wrong with a build without "
        "them [no-maps]"
    )


def test_a_network_that_is_gone_is_missing_and_no_bad_input() -> None:
    assert NetworkGone.exit_code is ExitCode.MISSING


def test_a_member_that_came_quantized_is_named() -> None:
    assert MemberQuantized(folder=Path("builds/a")).line() == (
        "builds/a cannot be part of an ensemble: its custom model came quantized, and an ensemble is quantized as a whole — "
        "build its float network [member-quantized]"
    )

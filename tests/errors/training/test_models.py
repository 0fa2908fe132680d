from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.graph import MergeDiffers
from edgecnn.errors.training import HeadNotAlone


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

from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.graph import MergeDiffers


def test_merged_branches_that_answer_otherwise_are_our_own_fault() -> None:
    error = MergeDiffers(network="ByobNet", off=0.5, allowed=0.001)
    assert error.line() == (
        "ByobNet with its branches merged differs by 0.5 in a logit, 0.001 is allowed: they are merged by the library that the "
        "network is of [merge-differs]"
    )
    assert error.exit_code == ExitCode.OWN_FAULT

from __future__ import annotations

from edgecnn.errors.building import (
    self_test_failed,
)
from edgecnn.errors.hosts import RunnerFailed


def test_a_kit_that_fails_its_own_test_says_how() -> None:
    refused = RunnerFailed(ref="wrong-feed", what="the model takes data", because="given image", hint="h")
    assert self_test_failed(candidate="openvino-fp32", failure=refused).line() == (
        "the kit of openvino-fp32 fails its own self-test: the model takes data (given image) — h [self-test-failed]"
    )

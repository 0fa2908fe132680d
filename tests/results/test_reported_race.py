"""Of the races of one second, the one that latency was read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.results.origin import reported_race
from tests.building.stored_builds import WHEN, StoredBuild


@pytest.mark.parametrize("other", ["energy", "throughput", "end-to-end", "soak", "against", "baseline"])
@pytest.mark.parametrize("first", [True, False])
def test_a_race_for_something_else_in_the_same_second_is_not_the_reported_one(tmp_path: Path, other: str, first: bool) -> None:
    build = StoredBuild(tmp_path)
    for purpose in (other, "report") if first else ("report", other):
        build.raced("onnxruntime-int8", 2.0, purpose=purpose, race=f"race-{purpose}", observed_at=WHEN)
    found = reported_race(build.store, build.digest("onnxruntime-int8"), WHEN)
    assert found is not None
    assert found.purpose == "report"


def test_a_race_that_was_deleted_is_none(tmp_path: Path) -> None:
    build = StoredBuild(tmp_path)
    assert reported_race(build.store, build.digest("onnxruntime-int8"), WHEN) is None

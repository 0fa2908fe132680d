"""What the GPU's own clock says stands beside the wall time, or why it does not."""

from __future__ import annotations

import pytest

from edgecnn.judging.latency import latency
from edgecnn.values.profile import Profile, RunEvents
from tests.judging.made import a_race


def race(*each: RunEvents | None) -> Profile:
    profile = a_race([2.0] * len(each))
    runs = tuple(run.model_copy(update={"events": events}) for run, events in zip(profile.runs, each, strict=True))
    return profile.model_copy(update={"runs": runs})


def events(ms: float, samples: int = 50) -> RunEvents:
    return RunEvents(samples_ns=(round(ms * 1e6),) * samples)


def test_it_is_the_median_over_runs_and_no_part_of_the_wall_time() -> None:
    found = latency(race(*(events(ms) for ms in (0.5, 0.5, 0.4, 0.5, 0.5, 0.6, 0.5, 0.5))))
    assert found.on_gpu_ms is not None and found.p50_ms is not None
    assert (found.on_gpu_ms.estimate, found.p50_ms.estimate) == (0.5, 2.0)
    assert found.on_gpu_ms.low == 0.4
    assert "on_gpu_ms" not in found.absent


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([RunEvents(absent="it ran on the processor")] * 8, "it ran on the processor"),
        ([events(0.5)] * 7 + [events(0.5, 9)], "a run has only 9 samples; it needs 20"),
        ([events(0.5)] * 3, "3 runs are too few for an interval"),
    ],
)
def test_where_there_is_none_it_says_why(runs: list[RunEvents], why: str) -> None:
    found = latency(race(*runs))
    assert (found.on_gpu_ms, found.absent["on_gpu_ms"]) == (None, why)


def test_of_a_processor_s_session_nothing_is_said_of_a_gpu() -> None:
    found = latency(race(*[None] * 8))
    assert found.on_gpu_ms is None
    assert "on_gpu_ms" not in found.absent

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.results.page import SHARES, drawn_ms, raced_of
from edgecnn.values.report import BuildReport
from tests.building.stored_builds import WHEN, StoredBuild
from tests.judging.made import a_latency

LATER = "2026-11-20T10:00:00+00:00"


@pytest.fixture
def build(tmp_path: Path) -> StoredBuild:
    return StoredBuild(tmp_path)


def unraced(report: BuildReport, name: str) -> BuildReport:
    """The report in which this candidate has no latency."""
    absent = a_latency(None, runs=0, observed_at="")
    rows = tuple(row.model_copy(update={"latency": absent}) if row.candidate.id == name else row for row in report.candidates)
    return report.model_copy(update={"candidates": rows})


def test_every_drawn_time_is_a_sample_that_was_taken() -> None:
    samples = [n * n * 1000 for n in range(1, 500)]
    drawn = drawn_ms(samples)
    assert len(drawn) == len(SHARES)
    assert {round(ms * 1e6) for ms in drawn} <= set(samples)
    assert (drawn[0], drawn[-1]) == (0.001, 499 * 499 / 1000)
    assert list(drawn) == sorted(drawn)


def test_a_run_of_one_sample_is_drawn_as_that_sample() -> None:
    assert set(drawn_ms([2_000_000])) == {2.0}


def test_the_samples_are_those_of_the_race_that_the_reported_latency_is_from(build: StoredBuild) -> None:
    build.raced("onnxruntime-int8", 9.0, observed_at=LATER)
    build.raced("onnxruntime-int8", 1.0, observed_at=WHEN, purpose="select")
    (found,) = raced_of(build.report, build.store)
    assert (found.candidate, found.purpose, found.runs[0].at_ms[0]) == ("onnxruntime-int8", "select", 1.0)


def test_samples_of_another_race_are_not_passed_off_as_the_reported_ones(build: StoredBuild) -> None:
    build.raced("onnxruntime-int8", 1.0, observed_at=LATER)
    assert raced_of(build.report, build.store) == ()


@pytest.mark.parametrize("purpose", ["throughput", "end-to-end", "soak"])
def test_what_was_timed_for_another_figure_in_the_same_second_is_not_drawn(build: StoredBuild, purpose: str) -> None:
    build.raced("onnxruntime-int8", 9.0, observed_at=WHEN, purpose=purpose)
    assert raced_of(build.report, build.store) == ()


def test_a_kit_that_did_not_finish_its_race_has_no_shape(build: StoredBuild) -> None:
    build.raced("onnxruntime-int8", 1.0, runs=(), failure="it crashed")
    assert raced_of(build.report, build.store) == ()


def test_a_tail_is_known_of_a_thousand_samples_and_not_of_fifty(build: StoredBuild) -> None:
    build.raced("onnxruntime-int8", 1.0)
    (found,) = raced_of(build.report, build.store)
    assert (found.runs[0].samples, found.runs[0].p99_ms) == (50, None)

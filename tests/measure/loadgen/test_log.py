"""``logs`` holds what LoadGen 6.0.17 really wrote, shortened to the lines about the result."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import LOADGEN_LOG_UNREADABLE
from edgecnn.measure.loadgen.facts import LoadRun, LoadSettings, Scenario
from edgecnn.measure.loadgen.run import DETAIL, read_run

LOGS = Path(__file__).with_name("logs")
SCENARIO_OF = {
    "single-stream-valid": Scenario.SINGLE_STREAM,
    "single-stream-ran-out": Scenario.SINGLE_STREAM,
    "multi-stream-too-few": Scenario.MULTI_STREAM,
    "offline-too-short": Scenario.OFFLINE,
    "server-too-slow": Scenario.SERVER,
}


def read(name: str) -> LoadRun:
    settings = LoadSettings(scenario=SCENARIO_OF[name], min_duration_ms=1000, min_query_count=1, batch=1)
    return read_run(LOGS / name, settings, name, {})


@pytest.mark.parametrize("name", SCENARIO_OF)
def test_the_verdict_is_the_one_that_the_summary_shows(name: str) -> None:
    word = "VALID" if read(name).valid else "INVALID"
    assert f"Result is : {word}\n" in (LOGS / name / "mlperf_log_summary.txt").read_text()


@pytest.mark.parametrize("name", SCENARIO_OF)
def test_the_figure_is_the_one_that_the_summary_begins_with(name: str) -> None:
    summary = (LOGS / name / "mlperf_log_summary.txt").read_text().splitlines()
    shown = float(next(line for line in summary if line.startswith(("90.0th", "99.0th", "Samples", "Completed"))).split(":")[1])
    scale = 1e6 if "stream" in name else 1.0
    assert read(name).figure == pytest.approx(shown / scale, rel=1e-4)


def test_of_a_valid_run_there_is_its_early_stopping_estimate_and_no_reason() -> None:
    run = read("single-stream-valid")
    assert run.valid and not run.too_short and run.reasons == ()
    assert run.early_stopping_ms == pytest.approx(run.figure, rel=0.05)
    assert run.percentiles_ms["p50"] <= run.percentiles_ms["p90"] == run.figure <= run.percentiles_ms["p99"]


def test_a_run_that_ran_out_of_queries_is_too_short_and_says_so_in_loadgens_words() -> None:
    run = read("single-stream-ran-out")
    assert run.too_short and not run.valid
    assert run.reasons[0] == "Decrease the expected latency so the loadgen pre-generates more queries."
    assert run.reasons[1].startswith("Ending early: Ran out of generated queries")


def test_an_offline_query_that_was_too_small_is_too_short() -> None:
    run = read("offline-too-short")
    assert run.too_short
    assert run.reasons == ("Increase expected QPS so the loadgen pre-generates a larger (coalesced) query.",)


def test_too_few_queries_for_a_percentile_are_a_reason_but_not_too_short_a_run() -> None:
    run = read("multi-stream-too-few")
    assert not run.too_short and run.early_stopping_ms is None
    assert run.reasons == ("Only processed 95 queries. Need to process at least 662 queries for early stopping.",)


def test_a_rate_that_was_too_high_says_that_it_must_be_reduced() -> None:
    run = read("server-too-slow")
    assert not run.valid and not run.too_short
    assert run.reasons[0] == "Reduce target QPS to improve latency."


@pytest.mark.parametrize(
    "text, because",
    [
        (None, "no such file or directory"),
        ("", "it holds no result_validity"),
        (":::MLLOG {", "a line is no event of LoadGen: "),
        (
            ':::MLLOG {"key": "result_validity", "value": "VALID", "metadata": {"is_error": false}}\n',
            "it holds no result_min_dur",
        ),
    ],
)
def test_a_log_without_a_verdict_is_never_a_figure(tmp_path: Path, text: str | None, because: str) -> None:
    if text is not None:
        (tmp_path / DETAIL).write_text(text)
    with pytest.raises(EdgecnnError, check=LOADGEN_LOG_UNREADABLE.made) as caught:
        read_run(tmp_path, LoadSettings(scenario=Scenario.SERVER, min_duration_ms=1, min_query_count=1, batch=1), "x", {})
    assert because in caught.value.line()

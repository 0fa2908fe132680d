"""Start-up, the whole way, throughput and endurance: what their charts hold, what they say, and what is missing from them."""

from __future__ import annotations

from edgecnn.render.page.charts.intervals import end_to_end, startup
from edgecnn.render.page.charts.load import sustained, throughput
from edgecnn.values.report import BuildReport
from tests.judging.made import a_latency, an_interval, facts
from tests.render.page.measured import a_soak, a_started, a_throughput, a_way
from tests.render.page.reading import rows_with
from tests.render.reports import a_report

LATENCY = a_latency(an_interval(2.0, 1.9, 2.1))


def report(**fields: object) -> BuildReport:
    return a_report(facts("onnxruntime-fp32", is_baseline=True), facts("onnxruntime-int8", chosen=True, **fields))


def test_start_up_has_three_times_a_candidate_with_their_intervals() -> None:
    figure = startup(report(latency=a_started(LATENCY)))
    assert figure is not None
    assert [(row["lane"], row["at"], row["said"]) for row in rows_with(figure, "lane")] == [
        ("opening", 30.0, "opening 30.0"), ("first", 4.0, "first 4.0"), ("cold start", 400.0, "cold start 400.0"),
    ]  # fmt: skip
    assert [len(cells) for cells in figure.table.rows] == [4]
    assert '"log"' in str(figure.spec).replace("'", '"'), "4 and 400 ms share an axis"


def test_a_start_up_without_a_figure_says_why_and_draws_no_zero() -> None:
    few = a_latency(an_interval(2.0), load_ms=an_interval(30.0), absent={"cold_start_ms": "not recorded"})
    figure = startup(report(latency=few))
    assert figure is not None
    assert [note.endswith(": not recorded") for note in figure.notes] == [True]
    assert [row["lane"] for row in rows_with(figure, "lane")] == ["opening"]
    assert startup(report(latency=LATENCY)) is None
    assert startup(report()) is None


def test_the_whole_way_stands_beside_the_network_alone() -> None:
    figure = end_to_end(report(end_to_end=a_way(9.0), latency=LATENCY))
    assert figure is not None
    assert [(row["lane"], row["at"]) for row in rows_with(figure, "lane")] == [("end to end", 9.0), ("network", 2.0)]


def test_a_whole_way_without_an_interval_is_not_drawn() -> None:
    none = a_way().model_copy(update={"latency": a_latency(None, reason="few runs")})
    assert end_to_end(report(end_to_end=none)) is None


def test_batches_that_were_raced_have_intervals_and_those_that_were_only_seen_have_none() -> None:
    figure = throughput(report(throughput=a_throughput(100.0)))
    rows = rows_with(figure, "batch")
    assert figure is not None
    assert {row["batch"]: row["raced"] for row in rows} == {1: True, 8: True, 2: False, 4: False, 16: False}
    assert all((row["low"] < row["rate"] < row["high"]) == row["raced"] for row in rows)
    assert [cells[1] for cells in figure.table.rows] == ["1", "2", "4", "8", "16"]
    assert figure.table.rows[3][5] == "the best"


def test_every_window_of_a_soak_is_drawn_and_those_in_which_the_machine_slowed_down_are_crossed() -> None:
    latency, rate = sustained(report(sustained=a_soak(1.0)))
    rows = rows_with(latency, "s")
    assert [(row["s"], round(row["ms"], 2)) for row in rows] == [
        (0, 1.0),
        (10, 1.05),
        (20, 1.1),
        (30, 1.15),
        (40, 1.2),
        (50, 1.25),
    ]
    assert [row.get("slowed down") is not None for row in rows] == [False] * 4 + [True] * 2
    assert [row["rate"] for row in rows_with(rate, "s")] == [900.0, 870.0, 840.0, 810.0, 780.0, 750.0]
    assert latency.table.columns[-1] == "°C"


def test_a_soak_from_before_windows_kept_their_length_has_no_rate_and_a_machine_that_cannot_tell_is_no_no() -> None:
    old = a_soak()
    windows = tuple(window.model_copy(update={"seconds": None, "observed": {}}) for window in old.windows)
    (latency,) = sustained(report(sustained=old.model_copy(update={"windows": windows})))
    assert len({cells[4] for cells in latency.table.rows} - {"no"}) == 1
    assert "Crosses" not in latency.says


def test_what_was_not_asked_for_has_no_chart() -> None:
    assert throughput(report()) is None
    assert sustained(report()) == ()
    assert end_to_end(report()) is None

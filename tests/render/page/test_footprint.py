"""Memory and energy: a figure with its interval and the runtime's own part, or one line of why not."""

from __future__ import annotations

from edgecnn.render.page.charts.figure import no_figure
from edgecnn.render.page.charts.footprint import memory
from edgecnn.render.page.charts.intervals import energy
from edgecnn.render.wording import joint_reason, lines_by_reason
from tests.judging.made import an_interval, facts
from tests.render.page.measured import a_memory, an_energy
from tests.render.page.reading import rows_with
from tests.render.reports import a_report

NO_METER = {"total_mj": None, "above_idle_mj": None, "reason": "no meter can be read here"}


def test_the_runtime_s_own_memory_is_told_apart_from_what_the_model_adds() -> None:
    figure = memory(a_report(facts("onnxruntime-int8", memory=a_memory(20.0)), facts("openvino-int8")))
    (row,) = rows_with(figure, "own")
    assert figure is not None
    assert (row["own"], row["peak"], row["low"], row["high"]) == (60, 80, 76, 84)
    assert [cells[0] for cells in figure.table.rows] == ["onnxruntime-int8"]
    assert figure.sources[1].what.startswith("openvino-int8: ")


def test_a_gpu_s_memory_has_a_column_where_it_is_known_and_a_reason_where_not() -> None:
    figure = memory(
        a_report(
            facts("tensorrt-fp16", memory=a_memory(gpu_mib=an_interval(300.0))),
            facts("tensorrt-int8", memory=a_memory(gpu_reason="not listed")),
        )
    )
    assert figure is not None
    assert [cells[4] for cells in figure.table.rows] == ["300.0 [300.0, 300.0]", "–"]
    assert [note.endswith(": not listed") for note in figure.notes] == [True]


def test_energy_has_all_of_it_and_what_is_above_idle() -> None:
    figure = energy(a_report(facts("onnxruntime-int8", energy=an_energy(10.0, disturbed="busy"))))
    assert figure is not None
    rows = [(row["lane"], row["at"], round(row["low"], 6)) for row in rows_with(figure, "lane")]
    assert rows == [("all", 10.0, 9.5), ("above idle", 6.0, 5.7)]
    assert figure.notes == ("onnxruntime-int8: busy",)


def test_energy_below_zero_is_drawn_as_it_is() -> None:
    figure = energy(a_report(facts("onnxruntime-int8", energy=an_energy(above_idle_mj=an_interval(-1.0, -2.0, 1.0)))))
    assert min(row["low"] for row in rows_with(figure, "lane")) == -2.0


def test_without_a_meter_there_is_no_chart_and_one_line() -> None:
    report = a_report(*(facts(name, energy=an_energy(**NO_METER)) for name in ("onnxruntime-fp32", "onnxruntime-int8")))
    assert energy(report) is None
    assert no_figure(report, "energy") == NO_METER["reason"]


def test_a_reason_is_said_once_with_all_its_names() -> None:
    assert lines_by_reason({"a": "x", "b": "y", "c": "x"}) == ("a, c: x", "b: y")
    assert joint_reason({"a": "x", "b": "x"}) == "x"
    assert joint_reason({"a": "x", "b": "y"}) == "a: x; b: y"
    assert joint_reason({}) == ""

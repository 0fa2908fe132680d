"""What the charts of latency, residency, drop, size and training say in words, in their tables and in their data."""

from __future__ import annotations

from edgecnn.render.page.charts.accuracy import curves
from edgecnn.render.page.charts.footprint import sizes
from edgecnn.render.page.charts.intervals import drops
from edgecnn.render.page.charts.latency import latencies
from edgecnn.render.page.charts.residency import residencies
from edgecnn.training.history import History
from edgecnn.values.layers import LayerResidency, Residency
from tests.judging.made import an_accuracy, facts
from tests.render.page.pages import a_history, a_page
from tests.render.page.reading import rows_with
from tests.render.reports import a_gate, a_report, a_residency, a_row


def test_every_run_has_its_own_lane_and_its_own_line_in_the_table() -> None:
    strips, lines = latencies(a_page(2))
    assert len(strips.table.rows) == 16
    values = rows_with(strips, "lane")
    assert sorted({(row["candidate"], row["lane"]) for row in values}) == [
        (name, lane) for name in ("onnxruntime-fp32", "onnxruntime-int8") for lane in range(1, 9)
    ]
    assert len({row["line"] for row in rows_with(lines, "line")}) == 16


def test_no_bar_of_means_stands_anywhere() -> None:
    for figure in latencies(a_page(2)):
        assert "mean" not in str(figure.spec)


def test_a_99th_percentile_that_a_run_cannot_support_is_no_number() -> None:
    page = a_page(1)
    short = page.raced[0].runs[0].model_copy(update={"p99_ms": None, "samples": 100})
    strips, _ = latencies(page.model_copy(update={"raced": (page.raced[0].model_copy(update={"runs": (short,)}),)}))
    assert strips.table.rows[0][strips.table.columns.index("99 %")].startswith("n/a")


def test_what_was_planned_is_named_so_on_the_axis_and_in_the_table() -> None:
    (shares,) = residencies(a_report(a_row("tensorrt-fp16", residency=a_residency("planned", fp16=1.0)), facts("openvino-int8")))
    assert [source.mark.word for source in shares.sources] == ["planned", "missing"]
    assert shares.table.rows == (("tensorrt-fp16", "planned", "100 %"),)
    assert rows_with(shares, "label")[0]["label"] == "tensorrt-fp16 ◇ planned"


def test_a_precision_without_a_colour_of_its_own_is_drawn_as_unknown_and_named_as_it_is() -> None:
    (shares,) = residencies(a_report(a_row(residency=a_residency(int8=0.5, fp8=0.5))))
    assert shares.legend == ("int8", "unknown")
    assert {row["runs in"] for row in rows_with(shares, "runs in")} == {"int8", "fp8"}


def test_layers_are_those_that_took_time_of_the_chosen_one_and_of_the_baseline() -> None:
    layers = tuple(
        LayerResidency(name=f"layer {n}", op="Conv", precision="int8", macs=10, time_us=time)
        for n, time in enumerate((None, 4.0, 6.0))
    )
    timed = Residency(basis="executed", layers=layers, mac_share={"int8": 1.0}, time_share=None)
    rows = (
        a_row("onnxruntime-fp32", is_baseline=True),
        a_row(chosen=True, residency=timed),
        a_row("openvino-int8", residency=timed),
    )
    found = [figure for figure in residencies(a_report(*rows)) if figure.id.startswith("layers")]
    assert [figure.id for figure in found] == ["layers-chosen"]
    assert [row[0] for row in found[0].table.rows] == ["layer 1", "layer 2"]


def test_drops_stand_against_the_bound_that_they_are_held_to() -> None:
    inside = a_row(gates=(a_gate(),))
    outside = a_row("openvino-int8", test=an_accuracy(60, 10), gates=(a_gate(),))
    figure = drops(a_report(facts("onnxruntime-fp32", is_baseline=True, test=an_accuracy(drop_pp=None)), inside, outside))
    assert figure is not None
    assert figure.says.index("onnxruntime-int8") < figure.says.index("openvino-int8")
    assert [row[0] for row in figure.table.rows] == ["onnxruntime-int8", "openvino-int8"]


def test_without_a_bound_no_line_is_drawn() -> None:
    figure = drops(a_report(a_row()))
    assert figure is not None
    assert "gate" not in str(figure.spec)


def test_a_size_that_is_not_known_is_named_and_never_drawn_as_zero() -> None:
    figure = sizes(a_report(a_row(), facts("openvino-int8")))
    assert figure is not None
    assert figure.sources[1].what.startswith("openvino-int8: ")
    assert [row[0] for row in figure.table.rows] == ["onnxruntime-int8"]


def test_an_epoch_that_was_not_judged_leaves_a_gap_and_no_zero() -> None:
    loss, accuracy = curves(a_history(6))
    assert [len(rows_with(figure, "count")) for figure in (loss, accuracy)] == [6, 4]
    assert [row[2].endswith(" %") for row in accuracy.table.rows] == [False, False, True, True, True, True]


def test_a_training_of_no_epoch_has_no_curve() -> None:
    assert curves(History(phases=(), best=None, stopped="no epoch was asked for", initial={})) == ()

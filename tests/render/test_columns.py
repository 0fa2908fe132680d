"""The table of columns: which a build has, in which order they are given room, and what each cell says on each surface."""

from __future__ import annotations

import pytest

from edgecnn.judging.gates import judge
from edgecnn.judging.metrics import SHOWN
from edgecnn.render.columns import COLUMNS, Place, columns_of, mark_legend, metric_cell, tracked_numbers
from edgecnn.render.figures import NONE, interval_text
from edgecnn.render.screens.comparing import side_by_side_cells
from edgecnn.values.figures import Accuracy
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval, Verdict
from tests.judging.made import a_gate, a_latency, a_multi_label, an_accuracy, an_interval, facts
from tests.render.reports import a_row


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (a_row(), ("top1", "drop_pp")),
        (facts(multi_label=a_multi_label()), ("map", "map_drop_pp")),
        (facts(), ("top1", "drop_pp")),
    ],
)
def test_the_images_of_a_build_decide_which_columns_of_accuracy_it_has(row: CandidateFacts, names: tuple[str, ...]) -> None:
    assert tuple(column.name for column in columns_of([row], "page"))[:2] == names


@pytest.mark.parametrize("place", ["text", "page", "tracker"])
def test_no_two_columns_of_a_table_have_one_name_or_one_rank(place: Place) -> None:
    for row in (a_row(), facts(multi_label=a_multi_label())):
        columns = columns_of([row], place)
        assert len({column.rank for column in columns}) == len({column.name for column in columns}) == len(columns)
        assert {"top1", "map"} & {column.name for column in columns}


def test_every_column_that_a_tracker_takes_is_a_metric() -> None:
    assert {column.name for column in COLUMNS if "tracker" in column.places} <= SHOWN.keys()


def test_an_emulated_time_has_its_mark_once_next_to_another_build() -> None:
    row = a_row(latency=a_latency(an_interval(2.0), fidelity=Fidelity.EMULATED))
    assert side_by_side_cells(row)[2] == "2.00 [2.00, 2.00]ᵉ"


def test_a_tracker_takes_the_numbers_that_are_known_with_where_they_come_from() -> None:
    numbers = tracked_numbers(a_row(latency=None, size_mib=5.4))
    assert "p50_ms" not in numbers
    assert (numbers["size_mib"].value.estimate, numbers["size_mib"].fidelity) == (5.4, Fidelity.MEASURED)


def test_a_cell_without_a_figure_says_why_and_is_a_dash_in_a_table_of_text() -> None:
    cell = metric_cell("size_mib", facts())
    assert (cell.text, cell.why, cell.plain) == (None, "not packaged", NONE)


@pytest.mark.parametrize(
    ("unit", "text"), [("share", "200.0 %"), ("pp", "+2.0 pp"), ("ratio", "2.0×"), ("ms", "2.0")], ids=lambda value: str(value)
)
def test_what_is_exact_and_an_estimate_alone_have_no_interval(unit: str, text: str) -> None:
    for confidence in (1.0, 0.0):
        figure = interval_text(an_interval(2.0, confidence=confidence), unit, 1)
        assert (str(figure), figure.interval) == (text, "")


def test_the_ends_of_a_narrow_interval_differ() -> None:
    narrow = Interval(estimate=1.0, low=0.9996, high=1.0, confidence=0.95)
    assert interval_text(narrow, "share", 1) == "100.00 % [99.96, 100.00]"


UNCHANGED, IMPROVED, WORSE = an_accuracy(0, 0, 126), an_accuracy(0, 3, 126), an_accuracy(1, 0, 126)


@pytest.mark.parametrize(
    ("bound", "tests", "is_explained"),
    [
        (1.0, (UNCHANGED, IMPROVED), True),
        (1.0, (UNCHANGED, UNCHANGED), False),  # nothing passes
        (5.0, (UNCHANGED, IMPROVED), False),  # nothing is open
        (5.0, (UNCHANGED, WORSE), False),
    ],
)
def test_a_pass_above_which_an_unchanged_candidate_is_unsure_is_explained(
    bound: float, tests: tuple[Accuracy, Accuracy], is_explained: bool
) -> None:
    gate = a_gate("drop_pp", bound)
    rows = [facts(f"onnxruntime-{name}", test=test) for name, test in zip(("fp16", "int8"), tests, strict=True)]
    judged = [row.model_copy(update={"gates": (judge(gate, row),)}) for row in rows]
    assert any("changed no prediction" in note for note in mark_legend(judged, columns_of(judged, "text"))) is is_explained


def test_fp16_that_was_computed_in_fp32_is_unsure_for_another_reason_than_its_images() -> None:
    emulated = an_accuracy(0, 0, 126, fidelity=Fidelity.EMULATED)
    rows = [facts("ncnn-fp16", test=emulated), facts("onnxruntime-int8", test=IMPROVED)]
    judged = [row.model_copy(update={"gates": (judge(a_gate("drop_pp", 5.0), row),)}) for row in rows]
    assert judged[0].gates[0].verdict is Verdict.UNSURE
    assert not any("changed no prediction" in note for note in mark_legend(judged, columns_of(judged, "text")))

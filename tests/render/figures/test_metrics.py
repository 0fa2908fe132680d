"""The table of metrics feeds the page, the terminal, report.md and the gates: every row is found in each, and a new one too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

import pytest

from edgecnn.judging import metrics
from edgecnn.judging.gates import Circumstances, StatedBounds, gates_for, judge
from edgecnn.judging.metrics import METRICS, SHOWN, Metric, finding_of
from edgecnn.render.columns import metric_cell
from edgecnn.render.figures import metric_text
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.charts.figure import Figure
from edgecnn.render.page.report import report_page, section_figures
from edgecnn.render.screens.report import show_candidates, show_measured
from edgecnn.results.page import PageFacts
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import CandidateFacts
from tests.judging.made import a_multi_label, a_quality, an_interval
from tests.render.page.measured import around
from tests.render.page.pages import a_page


def with_bytes_moved(page: PageFacts) -> PageFacts:
    moved = {"byte_share": {"int8": 0.8, "fp32": 0.2}, "moved_bytes": 2**20}
    rows = [
        row.model_copy(update={"residency": row.residency and row.residency.model_copy(update=moved)})
        for row in page.report.candidates
    ]
    return page.model_copy(update={"report": page.report.model_copy(update={"candidates": tuple(rows)})})


def of_labels(page: PageFacts) -> PageFacts:
    """The same of a multi-label network."""
    rows = [
        row.model_copy(update={"test": None, "multi_label": a_multi_label(None) if row.is_baseline else a_multi_label()})
        for row in page.report.candidates
    ]
    return page.model_copy(update={"report": page.report.model_copy(update={"candidates": tuple(rows)})})


PAGE = with_bytes_moved(a_page(2))
LABELS = of_labels(PAGE)
OF_LABELS = ("map_drop_pp", "map", "micro_f1")
OF_THE_GPU = ("on_gpu_ms",)
"""Of the desktop GPU alone, which has a table of its own."""
BY_SENTENCE = {"int8_mac_share": "multiply-adds", "int8_time_share": "time inside layers", "int8_bytes_share": "MiB moved"}
"""Said together, as shares in every precision that ran."""
WITHOUT_A_CHART = ("p90_ms", "p99_ms", *OF_THE_GPU)
"""On the page in the table of candidates, or as a column of another chart's numbers."""
WITH_A_TITLE_OF_ITS_OWN = {"worst_class_drop_pp": "Accuracy loss of each class"}
NEW = Metric("p999_ms", "ms", "latency", "lower", lambda facts: around(7.125), "Slowest of a thousand", "p99.9")


@cache
def charts(*, of_labels: bool) -> tuple[Figure, ...]:
    return tuple(figure for section in section_figures(LABELS if of_labels else PAGE).values() for figure in section)


def page_of(name: str) -> PageFacts:
    return LABELS if name in OF_LABELS else PAGE


def chosen(page: PageFacts = PAGE) -> CandidateFacts:
    return next(facts for facts in page.report.candidates if facts.chosen)


def shown_words(name: str) -> str:
    return BY_SENTENCE.get(name, metric_text(SHOWN[name], SHOWN[name].value(chosen(page_of(name)))))


@pytest.mark.parametrize("name", [name for name in SHOWN if name not in OF_THE_GPU])
def test_each_metric_is_found_on_a_terminal_and_in_markdown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = page_of(name).report
    show_measured(report)
    said = capsys.readouterr().out + report_markdown(report)
    assert shown_words(name).split(" [")[0].rstrip(" %") in said


@pytest.mark.parametrize("name", [name for name in SHOWN if name not in WITHOUT_A_CHART])
def test_each_metric_is_found_on_the_page_under_its_own_name(name: str) -> None:
    metric = SHOWN[name]
    said = json.dumps([[each.title, each.table.columns, each.spec] for each in charts(of_labels=name in OF_LABELS)], default=str)
    named = (
        metric.title,
        metric.title.lower(),
        metric.axis_title,
        metric.heading,
        WITH_A_TITLE_OF_ITS_OWN.get(name, metric.title),
    )
    assert any(f'"{words}' in said for words in named)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_that_can_be_bounded_is_judged_by_its_name_and_unit(name: str) -> None:
    side = "max" if METRICS[name].better == "lower" else "min"
    (gate,) = gates_for(StatedBounds(GateChoice.model_validate({side: {name: 0.5}})), Circumstances())
    row = chosen(page_of(name))
    result = judge(gate, row)
    assert (gate.side, result.figure) == (side, finding_of(name, row).figure)
    if result.figure is not None:
        assert result.reason.startswith(METRICS[name].words)
        assert METRICS[name].signs in result.reason


def test_every_label_of_what_ships_is_shown_with_its_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    show_candidates(LABELS.report)
    terminal, text = capsys.readouterr().out, report_markdown(LABELS.report)
    page = report_page(LABELS)
    for said in (terminal, text, page):
        assert all(word in said for word in ("bag", "hat", "0.41", "0.625", "recall (95 %)", "mAP")), said


def test_a_metric_s_cell_is_spelt_from_its_row() -> None:
    assert metric_cell("p50_ms", chosen()).plain.startswith(metric_text(SHOWN["p50_ms"], SHOWN["p50_ms"].value(chosen())))
    assert metric_text(SHOWN["size_mib"], metrics.exactly(5.36)) == "5.4"
    assert metric_text(SHOWN["worst_class_drop_pp"], an_interval(1.26, 0.5, 2.0)) == "+1.3 [+0.5, +2.0] pp"
    assert metric_text(SHOWN["top5"], a_quality().top5).endswith("]")


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Metric]:
    """The table with one row more."""
    monkeypatch.setitem(SHOWN, NEW.name, NEW)  # type: ignore[arg-type]
    return SHOWN


def test_a_new_row_has_a_chart_and_a_sentence_without_another_line(grown: Mapping[str, Metric]) -> None:
    drawn = {figure.title: figure for figure in section_figures(PAGE)["latency"]}
    assert grown[NEW.name] is NEW
    assert "7.12" in drawn["Slowest of a thousand"].table.rows[0][1]
    assert "p99.9 7.12 [" in report_markdown(PAGE.report)

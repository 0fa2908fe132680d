"""The text of both pages: what is said without a browser."""

from __future__ import annotations

import pytest

from edgecnn.render.page.compared import comparison_page
from edgecnn.render.page.over_time import history_page
from edgecnn.render.screens.comparing import WHY_NOT_DIVIDED
from tests.judging.made import an_interval
from tests.render.page.comparisons import CHANGES, a_history, a_series, hostile_builds, hostile_history, some_builds
from tests.render.page.pages import HOSTILE
from tests.render.page.reading import read


def test_no_hostile_name_becomes_markup() -> None:
    for page in (comparison_page(hostile_builds()), history_page(hostile_history())):
        body = page[: page.index('<script type="application/json"')]
        for harm in HOSTILE[:3]:
            assert harm not in body
        assert page.count("<script") == 3
        assert "49" not in page[page.index("<title>") : page.index("</title>")]


def test_a_page_of_many_builds_and_candidates_is_under_2_mb() -> None:
    assert len(comparison_page(some_builds(6, 10)).encode()) < 2_000_000
    ten = [a_series(f"onnxruntime-{number}") for number in range(10)]
    assert len(history_page(a_history(*ten)).encode()) < 2_000_000


def test_the_comparison_says_why_times_are_not_divided_and_what_changed() -> None:
    page = comparison_page(some_builds())
    assert WHY_NOT_DIVIDED in read(page).first("main").words
    for change in CHANGES:
        assert f'<tr><th scope="row">{change.kind}</th>' in page


@pytest.mark.parametrize("page", ["compare", "history"])
def test_each_chart_has_a_name_and_its_numbers_in_a_table(page: str) -> None:
    text = comparison_page(some_builds()) if page == "compare" else history_page(a_history())
    charts = text.count('class="chart"')
    assert charts == {"compare": 9, "history": 4}[page]
    assert text.count('role="img" aria-label="Chart: ') == charts
    assert text.count("<summary>Table: ") == charts


def test_differences_far_apart_stand_on_a_linear_axis_since_it_holds_zero() -> None:
    found = some_builds()
    drops = (an_interval(0.2, 0.1, 0.3), an_interval(10, 9, 11))
    paired = tuple(each.model_copy(update={"drop_pp": drop}) for each, drop in zip(found.paired, drops, strict=True))
    page = comparison_page(found.model_copy(update={"paired": paired}))
    assert "pp, logarithmic" not in page

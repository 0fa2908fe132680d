"""A search on a page and in a terminal: what failed, what was left out, and what other devices would take."""

from __future__ import annotations

import json

from edgecnn.render.page import fronts
from edgecnn.render.page.fronts import fit_page
from edgecnn.render.screens.fit import cells_of, fit_columns, fit_lines
from edgecnn.values.fit import Predicted, Trial
from edgecnn.values.verdict import Interval, Verdict
from tests.fit.test_choose import member
from tests.fit.test_finish import USED, report

FAST = member("depth=0.5,width=1,resolution=64 no-se", 0.80, 3.0)
SLOW = member("depth=1,width=1,resolution=64", 0.85, 9.0, Verdict.FAIL)
BROKEN = SLOW.model_copy(
    update={"name": "broken", "build": None, "p50_ms": None, "failed": "it has <no> weights", "inside": None}
)
FOUND = report(
    FAST, SLOW, BROKEN, left_out=2, axes={"half the depth": 0.6, "no squeeze-excite": 0.8},
    trials=tuple(Trial(name=f"n{number}", p50_ms=1.0 + number, standin=20.0 + number) for number in range(14)),
).model_copy(update={"table": USED, "shipped": FAST.name, "front": (FAST.name, SLOW.name)})  # fmt: skip


def test_the_page_draws_the_front_the_search_and_what_each_change_saves_and_escapes_what_it_is_told() -> None:
    page = fit_page(FOUND)
    for said in (
        "Accuracy against latency",
        "Predicted networks",
        "Latency saved by each change",
        "no squeeze-excite",
        FAST.name,
    ):
        assert said in page
    assert "<no> weights" not in page


def test_a_table_of_devices_is_on_the_page_only_where_others_were_asked_about() -> None:
    assert "Which device is enough" not in fit_page(FOUND)


def test_a_member_that_failed_says_why_in_its_row() -> None:
    assert cells_of(BROKEN, FOUND)[3].endswith(str(BROKEN.failed))
    assert (cells_of(FAST, FOUND)[1], cells_of(FAST, FOUND)[3]) == ("yes", "PASS")


def test_what_is_predicted_is_never_said_to_be_measured() -> None:
    p50 = Interval(estimate=2.0, low=1.5, high=3.0, confidence=0.9)
    alone = BROKEN.model_copy(update={"failed": None, "predicted": (Predicted(candidate=FAST.candidate or "", p50_ms=p50),)})
    assert cells_of(alone, FOUND)[4:6] == ("▲ 2.00 [1.50, 3.00]", "–")
    assert any(line.startswith("  ▲ predicted from 30 networks emulated on a board") for line in fit_lines(FOUND))


def test_every_column_has_a_heading_and_the_unit_of_the_budget() -> None:
    rated = FOUND.model_copy(update={"stated": {"images_per_s": 100.0}})
    for found, unit in ((FOUND, "p50 ms"), (rated, "images/s")):
        columns = fit_columns(found)
        assert all(columns) and unit in columns and f"predicted {unit}" in columns
        assert len(cells_of(FAST, found)) == len(columns)
    assert any(cell.startswith("333 [") for cell in cells_of(FAST, rated)), "3 ms"


def test_a_predicted_point_is_marked_and_a_built_one_is_filled() -> None:
    p50 = Interval(estimate=18.0, low=12.6, high=25.2, confidence=0.9)
    forecast = FAST.model_copy(
        update={"p50_ms": None, "untrained_ms": None, "predicted": (Predicted(candidate=FAST.candidate or "", p50_ms=p50),)}
    )
    assert "▲" not in json.dumps(fronts._network_point(FAST, FOUND), ensure_ascii=False)
    row = fronts._network_point(forecast, FOUND)
    assert row is not None
    assert (row["p50"], row["what"], row["fill"]) == ("18.00 [12.60, 25.20] ms ▲", "built, not measured", "var(--build-1)")
    untrained = fronts._network_point(forecast.model_copy(update={"untrained_ms": p50}), FOUND)
    assert untrained is not None and "▲" not in untrained["p50"]

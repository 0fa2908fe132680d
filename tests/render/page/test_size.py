"""Below two megabytes, however much was measured: samples, classes, layers and windows do not make a page grow without end."""

from __future__ import annotations

import random
from functools import cache

from edgecnn.render.page.report import report_page
from edgecnn.results.page import PageFacts, RunShape, drawn_ms
from edgecnn.values.figures import ClassReport
from edgecnn.values.report import CandidateFacts
from tests.judging.made import a_class, a_quality
from tests.render.page.measured import a_soak
from tests.render.page.pages import a_layered, a_page, some_mistakes
from tests.render.page.reading import charts_of, read

ROUNDS, SAMPLES, CLASSES, LAYERS, WINDOWS = 40, 5_000, 1000, 400, 180
"""As many rounds as --until ever runs, the classes of ImageNet, and half an hour of soak."""
LIMIT = 2_000_000


@cache
def long_runs() -> tuple[RunShape, ...]:
    draw = random.Random(1)
    base = sorted(draw.lognormvariate(15, 0.3) for _ in range(SAMPLES))
    return tuple(
        RunShape(
            round=number,
            samples=SAMPLES,
            at_ms=drawn_ms([round(each * (1 + number / 97)) for each in base]),
            p99_ms=4.321987,
            load_ms=31.123456,
            first_ms=12.345678,
        )
        for number in range(ROUNDS)
    )


@cache
def many_classes() -> ClassReport:
    kinds = [a_class("", lost=lost) for lost in range(10)]
    named = (kinds[n % 10].model_copy(update={"name": f"a class called {n}"}) for n in range(CLASSES))
    return ClassReport(classes=tuple(named), compared=CLASSES)


def a_large_row(row: CandidateFacts) -> CandidateFacts:
    assert row.test is not None and row.residency is not None
    soak = a_soak()
    window = soak.windows[-1]
    windows = tuple(window.model_copy(update={"began_s": 10.0 * n, "p50_ms": 1.2345678 + n / 1000}) for n in range(WINDOWS))
    quality = a_quality(classes=many_classes())
    return row.model_copy(
        update={
            "test": row.test.model_copy(update={"quality": quality}),
            "residency": a_layered(row.candidate.precision.value, LAYERS),
            "sustained": soak.model_copy(update={"windows": windows}) if row.chosen or row.is_baseline else None,
        }
    )


def a_large_page() -> PageFacts:
    page = a_page(10)
    rows = tuple(a_large_row(row) for row in page.report.candidates)
    mistakes = some_mistakes(tuple(f"a class called {number}" for number in range(CLASSES)), counts=None)
    return page.model_copy(
        update={
            "report": page.report.model_copy(update={"candidates": rows}),
            "raced": tuple(each.model_copy(update={"runs": long_runs()}) for each in page.raced),
            "mistakes": mistakes,
        }
    )


def test_ten_candidates_of_forty_rounds_of_five_thousand_samples_stay_below_two_megabytes() -> None:
    text = report_page(a_large_page())
    assert len(text.encode("utf-8")) < LIMIT
    lines = next(data for data in charts_of(read(text))["curves-of-latency"]["data"] if data.get("values"))["values"]
    assert len(lines) == 10 * ROUNDS, "no run is left out to save room"


def test_more_samples_make_no_larger_page() -> None:
    few, many = (drawn_ms([1_000_000 + n for n in range(count)]) for count in (100, 100_000))
    assert len(few) == len(many)
